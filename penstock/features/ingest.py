"""The latest features of each entity, out of a dataset version's parts into the feature group.

A part is put once: which ones were is noted beside the dataset versions, after each. So a repeated step goes on where
the first one ended, and a new group gets everything. The store keeps an entity's newest record whatever the order in
which they come; a part's history goes to the offline store with it.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from penstock.aws.feature_store import FeatureStore, Record, event_time
from penstock.aws.s3_store import NoObjectError, Store
from penstock.contract.model import Contract
from penstock.datasets.version import Dataset, Part
from penstock.features.group import FeatureGroup, feature_group
from penstock.features.names import feature_name
from penstock.lake import LABELLED, Lake
from penstock.spec.model import ModelSpec

TIME = "_time"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""The event time of rows that came before uploads had places: anything later is newer."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """A model's feature group and the lake that fills it."""

    group: FeatureGroup
    feature_store: FeatureStore
    lake: Lake
    store: Store
    made: str = ""
    """When the group was made: what an earlier one of the same name had, this one has not."""

    def keep(self, dataset: Dataset) -> None:
        """Put the features of the parts that the group does not have yet.

        A row without entity or without event time belongs to nobody's latest features: it is left out and counted.
        What leaves the dataset (`replace`, a window) stays in the store, until something newer comes: the mode is about
        what a model is trained on. Captured rows that got their ground truth are not put: what they say of an entity
        came from the store or from one request, and lacks what is personal.

        Raises:
            FeatureStoreError: a record was not taken.
        """
        known = self._stored()
        # Those that left the dataset are forgotten: should they come back, they are put again, which changes nothing.
        stored = {part.sha256: known[part.sha256] for part in dataset.parts if part.sha256 in known}
        for part in dataset.parts:
            if part.sha256 not in stored and not of_captures(part, self.lake):
                stored[part.sha256] = self._put(part)
                note = {"made": self.made, "parts": stored}
                self.store.write_json(self.lake.stored(self.group.name), note)

    def _stored(self) -> dict[str, Any]:
        """What is known of each part that was put."""
        try:
            known: dict[str, Any] = self.store.json(self.lake.stored(self.group.name))
        except NoObjectError:
            return {}
        return dict(known["parts"]) if known["made"] == self.made else {}

    def _put(self, part: Part) -> dict[str, int]:
        columns = [self.group.entity, *([self.group.event_time] if self.group.event_time else []), *self.group.features]
        data = io.BytesIO(self.store.read(self.lake.part(part.sha256)))
        rows = pl.read_parquet(data, columns=[column.name for column in columns])
        newest = latest(rows, self.group, _uploaded(part))
        count = self.feature_store.put(records(newest, self.group))
        left_out = rows.select(_nameless(self.group).sum()).item()
        return {"entities": count, "left_out": left_out}


def features_of(
    stage: str, spec: ModelSpec, contract: Contract, lake: Lake, store: Store, made: str = ""
) -> Features | None:
    """The features that a model keeps; None where it keeps none. `made` is when the group was.

    Raises:
        SpecError: see `feature_group`.
    """
    group = feature_group(stage, spec, contract)
    if group is None:
        return None
    return Features(group=group, feature_store=FeatureStore.for_run(group.name), lake=lake, store=store, made=made)


def of_captures(part: Part, lake: Lake) -> bool:
    """Whether all rows of a part are captured ones that got their ground truth."""
    return all(upload.startswith(lake.uri(lake.prefix(LABELLED))) for upload in part.uploads)


def latest(rows: pl.DataFrame, group: FeatureGroup, uploaded: datetime) -> pl.DataFrame:
    """Each entity's newest row, by event time, of two with the same one the later; the time in UTC as `_time`.

    Args:
        rows: in their order.
        group: whose.
        uploaded: stands for the event time where the contract has none.
    """
    # One dtype, whatever the contract's type; a date is its midnight.
    moment = pl.Datetime("us", "UTC")
    time = pl.col(group.event_time.name).cast(moment) if group.event_time else pl.lit(uploaded).cast(moment)
    named = rows.filter(~_nameless(group)).with_columns(time.alias(TIME))
    return named.sort(TIME, maintain_order=True).unique(group.entity.name, keep="last", maintain_order=True)


def records(rows: pl.DataFrame, group: FeatureGroup) -> Iterator[Record]:
    """Rows as the store takes them: text throughout; a feature that is missing is left out."""
    names = {column.name: feature_name(column.name) for column in (group.entity, *group.features)}
    for row in rows.iter_rows(named=True):
        values = {stored: _text(row[name]) for name, stored in names.items() if row[name] is not None}
        yield {**values, group.time_name: event_time(row[TIME])}


def _nameless(group: FeatureGroup) -> pl.Expr:
    nameless = pl.col(group.entity.name).is_null()
    return nameless | pl.col(group.event_time.name).is_null() if group.event_time else nameless


def _text(value: str | float | bool) -> str:
    """A number as it is read back to the last digit; a boolean is 1 or 0, as the group has it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _uploaded(part: Part) -> datetime:
    """When the upload was put that decides a part's place: the order of the store is the dataset's."""
    place = part.sources[0][0]
    return datetime.fromisoformat(place.partition(" ")[0]) if place else LONG_AGO
