"""A model's feature groups as forgetting meets them: those of today, and earlier ones that were kept.

What a published version is bound to may be an earlier one, and the section may have left `model.yaml` since: so it is
what there is that counts, and not what the specification asks for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from penstock.aws.feature_store import FeatureStore, FeatureStoreError, StoredGroup, find_groups
from penstock.aws.s3_store import Store
from penstock.features.group import groups_pattern
from penstock.lake import FEATURES, Lake

LEAVE = "sagemaker:BatchGetRecord and sagemaker:DeleteRecord"


@dataclass(frozen=True, kw_only=True)
class StoredFeatures:
    """The groups of one model in one stage."""

    stage: str
    lake: Lake
    store: Store
    asked: bool
    """Whether `model.yaml` asks for a feature store; otherwise groups are looked for where one was filled before."""
    list_groups: Callable[[str], Sequence[StoredGroup]] = find_groups
    open_group: Callable[[str], FeatureStore] = FeatureStore.for_run

    def groups(self) -> Sequence[StoredGroup]:
        """Those that there are; a model that never had one needs no leave to ask.

        Raises:
            FeatureStoreError: they cannot be listed.
        """
        traces = (next(self.store.all_versions(place), None) for place in (self.lake.notes(), self._files()))
        if not self.asked and not any(traces):
            return []
        return self.list_groups(groups_pattern(self.stage, self.lake.model))

    def _files(self) -> str:
        return self.lake.prefix(FEATURES)

    def there(self, group: StoredGroup, entities: Sequence[str]) -> list[str]:
        """Which of these entities have a record online.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        try:
            return sorted(self.open_group(group.name).get(entities))
        except FeatureStoreError as error:
            raise FeatureStoreError(f"{error}: nothing was removed. Forgetting needs leave to {LEAVE}") from None

    def forget(self, entities: Mapping[str, Sequence[str]]) -> None:
        """Delete records for good; those that are gone already, or their group, are no error.

        Args:
            entities: by group.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        for group in self.groups():
            if group.name in entities:
                self.open_group(group.name).forget_all(entities[group.name], group.time_name)
