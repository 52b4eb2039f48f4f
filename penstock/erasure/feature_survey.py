"""What the feature store holds of a subject: online records, rows of the offline files, and which parts to put again.

The store knows entities, not rows: whatever it has of an entity that a removed row named may be that row's. So all of
it goes, and what the other rows say of an entity that they share comes back with the next run. For that the notes of
what was put let go of every part that must be put again, in the dataset's order, or an older row would stand where a
newer one had stood.
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
from penstock.erasure import file_rewrite as erasing
from penstock.erasure.subject import Subject
from penstock.features.ingest import is_captured
from penstock.features.inventory import StoredFeatures
from penstock.features.names import feature_name

PARQUET = ".parquet"


class FeatureSurvey:
    """Looks for one subject's entities; reads only."""

    def __init__(self, contract: Contract, stored: StoredFeatures, subject: Subject) -> None:
        self._stored, self._subject = stored, subject
        self._lake, self._store = stored.lake, stored.store
        self._columns = {feature_name(column.name): column.name for column in contract.columns}
        self._seen: dict[str, set[str]] = {column.name: set() for column in contract.columns}
        self._groups = {group.name: group for group in stored.groups()}

    def learn(self, rows: pl.DataFrame) -> None:
        """Know removed rows by what they may name an entity with."""
        for name in self._seen.keys() & set(rows.columns):
            self._seen[name] |= set(rows[name].drop_nulls().cast(pl.String).to_list())

    def _entities(self, feature: str) -> set[str]:
        """The subject's entities, as the feature of this name has them."""
        column = self._columns.get(feature)
        return self._seen[column] | self._subject.known(column) if column else set()

    def online(self) -> dict[str, list[str]]:
        """The entities whose records have to go, by group.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        asked = {group: sorted(self._entities(group.entity_name)) for group in self._groups.values() if group.online}
        found = {
            group.name: self._stored.entities_online(group, entities) for group, entities in asked.items() if entities
        }
        return {name: entities for name, entities in found.items() if entities}

    def strange(self) -> list[str]:
        """Groups whose entity is no column of the contract any more, so that nobody can be found in them."""
        return [
            f"the feature group {group.name}: its entity {group.entity_name} is no column of the contract"
            for group in self._groups.values()
            if group.entity_name not in self._columns
        ]

    def file(self, data: bytes, key: str) -> erasing.Cut:
        """An offline file without the entities' rows; arguments and errors as `erasing.table`."""
        group = next((group for group in self._groups.values() if f"/{group.name}-" in key), None)
        return erasing.table(data, key, _Entities(self, group))

    def among(self, rows: pl.DataFrame, group: StoredGroup | None) -> pl.Series:
        """Which rows of an offline file are theirs; shape (rows,), Boolean.

        Of a group that was deleted the first column is taken, since that is where ours have the entity. Were it
        another one, more rows would be theirs and not fewer: it holds what the removed rows held in it.
        """
        feature = group.entity_name if group else rows.columns[0]
        known = {escape(name) for name in self._entities(feature)}
        if not known or feature not in rows.columns:
            return pl.Series([False] * rows.height, dtype=pl.Boolean)
        return rows[feature].cast(pl.String).is_in(sorted(known)).fill_null(value=False)

    def notes(self, rewritten: Mapping[str, tuple[Part, bytes] | None], dataset: Dataset | None) -> dict[str, bytes]:
        """The notes of what was put, by key, without the parts that are gone and those that are to be put again.

        Args:
            rewritten: digest of a part that held the subject → what is left of it.
            dataset: what the next run starts from.
        """
        made: dict[str, bytes] = {}
        for key in self._store.keys(self._lake.notes()):
            note = self._store.json(key)
            group = self._groups.get(key.removeprefix(self._lake.notes()).removesuffix(".json"))
            kept = note["parts"].keys() - rewritten.keys()
            if group is not None and dataset is not None:
                kept -= self._again(group, kept, dataset, {new[0].sha256: new[1] for new in rewritten.values() if new})
            if kept != note["parts"].keys():
                left = {sha256: about for sha256, about in note["parts"].items() if sha256 in kept}
                made[key] = json.dumps(note | {"parts": left}, indent=1).encode()
        return made

    def _again(self, group: StoredGroup, put: AbstractSet[str], dataset: Dataset, new: Mapping[str, bytes]) -> set[str]:
        """The parts that have a row of an entity that was deleted, or that a part before them will put again.

        Of two rows with the same event time the store keeps the one that was put last.
        """
        column = self._columns.get(group.entity_name, "")
        entities, again = self._entities(group.entity_name), set[str]()
        for part in dataset.parts:
            if is_captured(part, self._lake):
                continue
            held = self._held(part, column, new)
            if part.sha256 in put and not held & entities:
                continue
            again.add(part.sha256)
            entities |= held
        return again

    def _held(self, part: Part, column: str, new: Mapping[str, bytes]) -> set[str]:
        """The entities of a part."""
        data = new[part.sha256] if part.sha256 in new else self._store.read(self._lake.part(part.sha256))
        rows = pl.read_parquet(io.BytesIO(data))
        return set(rows[column].drop_nulls().cast(pl.String).to_list()) if column in rows.columns else set()


@dataclass(frozen=True)
class _Entities:
    """The subject, as the files of one group know them."""

    survey: FeatureSurvey
    group: StoredGroup | None

    def among(self, table: pl.DataFrame, /) -> pl.Series:
        return self.survey.among(table, self.group)
