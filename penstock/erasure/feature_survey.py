"""Finds a subject in the feature store: online records, rows of the offline files, and parts to ingest again.

The store has entities, not rows: a record of an entity that a removed row names may be made of that row. So all records
of such an entity are removed, and the next run ingests again what other rows say of it. For that the list of ingested
parts is shortened by every part that must be ingested again in the dataset's order; otherwise an older row would
replace a newer one.
"""

import io
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import polars as pl

from penstock.aws.feature_store import StoredGroup, escape
from penstock.contract.model import Contract
from penstock.datasets.version import Dataset, Part
from penstock.erasure import file_rewrite
from penstock.erasure.subject import Subject
from penstock.features.ingest import is_captured
from penstock.features.inventory import StoredFeatures
from penstock.features.names import feature_name

PARQUET = ".parquet"


class FeatureSurvey:
    """The search for one subject's entities; reads only."""

    def __init__(self, contract: Contract, stored: StoredFeatures, subject: Subject) -> None:
        self._stored, self._subject = stored, subject
        self._lake, self._store = stored.lake, stored.store
        self._columns = {feature_name(column.name): column.name for column in contract.columns}
        self._values: dict[str, set[str]] = {column.name: set() for column in contract.columns}
        self._groups = {group.name: group for group in stored.groups()}

    def learn(self, rows: pl.DataFrame) -> None:
        """Add the values of removed rows, which may name entities."""
        for name in self._values.keys() & set(rows.columns):
            self._values[name] |= set(rows[name].drop_nulls().cast(pl.String).to_list())

    def _entities(self, feature: str) -> set[str]:
        """Return the subject's entities in a group whose entity is this feature."""
        column = self._columns.get(feature)
        return self._values[column] | self._subject.values_of(column) if column else set()

    def online(self) -> dict[str, list[str]]:
        """Return the entities whose records must be removed, by group name.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        candidates = {
            group: sorted(self._entities(group.entity_name)) for group in self._groups.values() if group.online
        }
        present = {
            group.name: self._stored.entities_online(group, entities)
            for group, entities in candidates.items()
            if entities
        }
        return {name: entities for name, entities in present.items() if entities}

    def unsearchable(self) -> list[str]:
        """Return groups whose entity is no longer a column of the contract, so that they cannot be searched."""
        return [
            f"the feature group {group.name}: its entity {group.entity_name} is no column of the contract"
            for group in self._groups.values()
            if group.entity_name not in self._columns
        ]

    def rewrite_file(self, data: bytes, key: str) -> file_rewrite.Rewrite:
        """Rewrite an offline file without the entities' rows; arguments and errors as `file_rewrite.table`."""
        group = next((group for group in self._groups.values() if f"/{group.name}-" in key), None)
        return file_rewrite.table(data, key, _EntityMatcher(self, group))

    def matches(self, rows: pl.DataFrame, group: StoredGroup | None) -> pl.Series:
        """Return which rows of an offline file belong to the subject's entities; shape (rows,), Boolean.

        For a group that was deleted the first column is the entity, as in all groups of Penstock. Were it another
        column, more rows would match and not fewer: it has the values that the removed rows have in it.
        """
        feature = group.entity_name if group else rows.columns[0]
        entities = {escape(name) for name in self._entities(feature)}
        if not entities or feature not in rows.columns:
            return pl.Series([False] * rows.height, dtype=pl.Boolean)
        return rows[feature].cast(pl.String).is_in(sorted(entities)).fill_null(value=False)

    def notes(self, rewritten: Mapping[str, tuple[Part, bytes] | None], dataset: Dataset | None) -> dict[str, bytes]:
        """Return the changed lists of ingested parts, by S3 key: without removed parts and those to ingest again.

        Args:
            rewritten: digest of a part that has rows of the subject → the part without them.
            dataset: the version that the next run starts from.
        """
        changes: dict[str, bytes] = {}
        for key in self._store.keys(self._lake.notes()):
            note = self._store.json(key)
            group = self._groups.get(key.removeprefix(self._lake.notes()).removesuffix(".json"))
            digests = note["parts"].keys() - rewritten.keys()
            if group is not None and dataset is not None:
                new = {part[0].sha256: part[1] for part in rewritten.values() if part}
                digests -= self._parts_to_ingest(group, digests, dataset, new)
            if digests != note["parts"].keys():
                rest = {sha256: counts for sha256, counts in note["parts"].items() if sha256 in digests}
                changes[key] = json.dumps(note | {"parts": rest}, indent=1).encode()
        return changes

    def _parts_to_ingest(
        self, group: StoredGroup, ingested: AbstractSet[str], dataset: Dataset, new: Mapping[str, bytes]
    ) -> set[str]:
        """Return the parts with a row of an entity that is removed, or that an earlier part will ingest again.

        Of two rows with the same event time the store keeps the one that was ingested last.
        """
        column = self._columns.get(group.entity_name, "")
        entities, parts = self._entities(group.entity_name), set[str]()
        for part in dataset.parts:
            if is_captured(part, self._lake):
                continue
            in_part = self._entities_of_part(part, column, new)
            if part.sha256 in ingested and not in_part & entities:
                continue
            parts.add(part.sha256)
            entities |= in_part
        return parts

    def _entities_of_part(self, part: Part, column: str, new: Mapping[str, bytes]) -> set[str]:
        data = new[part.sha256] if part.sha256 in new else self._store.read(self._lake.part(part.sha256))
        rows = pl.read_parquet(io.BytesIO(data))
        return set(rows[column].drop_nulls().cast(pl.String).to_list()) if column in rows.columns else set()


@dataclass(frozen=True)
class _EntityMatcher:
    """Recognises the subject's rows in the offline files of one group."""

    survey: FeatureSurvey
    group: StoredGroup | None

    def matches(self, table: pl.DataFrame, /) -> pl.Series:
        return self.survey.matches(table, self.group)
