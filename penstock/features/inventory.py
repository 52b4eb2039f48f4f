"""All feature groups of a model that exist, today's and earlier ones, for erasure.

A published version may be bound to an earlier group, and `model.yaml` may no longer have a feature store: so the groups
that exist are listed, whatever the specification says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from penstock.aws.feature_store import FeatureStore, FeatureStoreError, StoredGroup, find_groups
from penstock.aws.s3_store import Store
from penstock.features.group import groups_pattern
from penstock.lake import FEATURES, Lake

PERMISSIONS = "sagemaker:BatchGetRecord and sagemaker:DeleteRecord"


@dataclass(frozen=True, kw_only=True)
class StoredFeatures:
    """The groups of one model in one stage."""

    stage: str
    lake: Lake
    store: Store
    is_configured: bool
    """Whether `model.yaml` has a feature store; otherwise groups are listed only where one was filled before."""
    list_groups: Callable[[str], Sequence[StoredGroup]] = find_groups
    open_group: Callable[[str], FeatureStore] = FeatureStore.for_run

    def groups(self) -> Sequence[StoredGroup]:
        """List the groups; a model that never had one needs no permission for that.

        Raises:
            FeatureStoreError: they cannot be listed.
        """
        traces = (next(self.store.all_versions(place), None) for place in (self.lake.notes(), self._files()))
        if not self.is_configured and not any(traces):
            return []
        return self.list_groups(groups_pattern(self.stage, self.lake.model))

    def _files(self) -> str:
        return self.lake.prefix(FEATURES)

    def entities_online(self, group: StoredGroup, entities: Sequence[str]) -> list[str]:
        """Return which of these entities have a record in the online store.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        try:
            return sorted(self.open_group(group.name).get(entities))
        except FeatureStoreError as error:
            raise FeatureStoreError(f"{error}: nothing was removed. Forgetting needs leave to {PERMISSIONS}") from None

    def forget(self, entities: Mapping[str, Sequence[str]]) -> None:
        """Delete records permanently; a record or group that no longer exists is no error.

        Args:
            entities: by group name.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        for group in self.groups():
            if group.name in entities:
                self.open_group(group.name).forget_all(entities[group.name], group.time_name)
