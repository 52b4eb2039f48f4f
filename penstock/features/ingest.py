"""Ingests the latest features of each entity from a dataset version's parts into the feature group.

Each part is ingested once: the lake holds a list of those that were, updated after each. So a repeated step continues
where the first one ended, and a new group gets every part. The online store keeps an entity's newest record, whatever
the order of arrival; the offline store keeps them all.
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
"""Event time of rows whose upload has no recorded place: all others are newer."""


@dataclass(frozen=True, kw_only=True)
class FeatureIngest:
    """The ingestion into a model's feature group."""

    group: FeatureGroup
    feature_store: FeatureStore
    lake: Lake
    store: Store
    created: str = ""
    """When the group was created: a group that was created again is empty."""

    def ingest(self, dataset: Dataset) -> None:
        """Ingest the parts that the group does not have yet.

        A row without entity or event time is left out and counted. Rows that leave the dataset (`replace`, a window)
        stay in the store until newer ones arrive: the mode decides only what a model is trained on. Captured rows with
        ground truth are not ingested: their features came from the store or from one request, and lack personal values.

        Raises:
            FeatureStoreError: a record was not accepted.
        """
        earlier = self._ingested_parts()
        # Parts that left the dataset leave the list: should they return, they are ingested again, which is harmless.
        counts = {part.sha256: earlier[part.sha256] for part in dataset.parts if part.sha256 in earlier}
        for part in dataset.parts:
            if part.sha256 not in counts and not is_captured(part, self.lake):
                counts[part.sha256] = self._ingest_part(part)
                note = {"made": self.created, "parts": counts}
                self.store.write_json(self.lake.stored(self.group.name), note)

    def _ingested_parts(self) -> dict[str, Any]:
        """Return the parts that were ingested, each with its counts."""
        try:
            note: dict[str, Any] = self.store.json(self.lake.stored(self.group.name))
        except NoObjectError:
            return {}
        return dict(note["parts"]) if note["made"] == self.created else {}

    def _ingest_part(self, part: Part) -> dict[str, int]:
        columns = [self.group.entity, *([self.group.event_time] if self.group.event_time else []), *self.group.features]
        data = io.BytesIO(self.store.read(self.lake.part(part.sha256)))
        rows = pl.read_parquet(data, columns=[column.name for column in columns])
        newest = latest_rows(rows, self.group, _upload_time(part))
        count = self.feature_store.put(to_records(newest, self.group))
        left_out = rows.select(_is_incomplete(self.group).sum()).item()
        return {"entities": count, "left_out": left_out}


def feature_ingest(
    stage: str, spec: ModelSpec, contract: Contract, lake: Lake, store: Store, created: str = ""
) -> FeatureIngest | None:
    """Return the ingestion of a model; None where it has no feature store. `created` is when the group was created.

    Raises:
        SpecError: see `feature_group`.
    """
    group = feature_group(stage, spec, contract)
    if group is None:
        return None
    return FeatureIngest(
        group=group, feature_store=FeatureStore.for_run(group.name), lake=lake, store=store, created=created
    )


def is_captured(part: Part, lake: Lake) -> bool:
    """Return whether all rows of a part are captured ones with ground truth."""
    return all(upload.startswith(lake.uri(lake.prefix(LABELLED))) for upload in part.uploads)


def latest_rows(rows: pl.DataFrame, group: FeatureGroup, uploaded: datetime) -> pl.DataFrame:
    """Return each entity's newest row by event time, of two with the same one the later, with the UTC time as `_time`.

    Args:
        rows: in their order.
        group: the feature group.
        uploaded: the event time where the contract has none.
    """
    # One dtype, whatever the contract's type; a date means its midnight.
    moment = pl.Datetime("us", "UTC")
    time = pl.col(group.event_time.name).cast(moment) if group.event_time else pl.lit(uploaded).cast(moment)
    complete = rows.filter(~_is_incomplete(group)).with_columns(time.alias(TIME))
    return complete.sort(TIME, maintain_order=True).unique(group.entity.name, keep="last", maintain_order=True)


def to_records(rows: pl.DataFrame, group: FeatureGroup) -> Iterator[Record]:
    """Yield rows as the store accepts them: all values as text, without missing features."""
    names = {column.name: feature_name(column.name) for column in (group.entity, *group.features)}
    for row in rows.iter_rows(named=True):
        values = {feature: _text(row[name]) for name, feature in names.items() if row[name] is not None}
        yield {**values, group.time_name: event_time(row[TIME])}


def _is_incomplete(group: FeatureGroup) -> pl.Expr:
    lacks_entity = pl.col(group.entity.name).is_null()
    return lacks_entity | pl.col(group.event_time.name).is_null() if group.event_time else lacks_entity


def _text(value: str | float | bool) -> str:
    """Return a number with all its digits, and a boolean as 1 or 0, as the group has it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _upload_time(part: Part) -> datetime:
    """Return when the first upload of a part was put, so that the store has the dataset's order."""
    place = part.sources[0][0]
    return datetime.fromisoformat(place.partition(" ")[0]) if place else LONG_AGO
