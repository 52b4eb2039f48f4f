"""Erasure from the feature store: online records, offline files, and the lists of ingested parts."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from moto import mock_aws

from demo.flights import flights
from penstock.aws.feature_store import FeatureStore, FeatureStoreError, StoredGroup, find_groups
from penstock.datasets.version import Dataset
from penstock.erasure.eraser import Eraser, Erasure, ForgettingError
from penstock.erasure.subject import Subject
from penstock.features.ingest import FeatureIngest
from penstock.features.inventory import StoredFeatures
from tests.support.fake_runtime import FakeRuntime, refusal
from tests.support.world import MODEL, NOW, World
from tests.unit.erasure.test_eraser import BY, Dying, KilledError, everything

OFFLINE = f"features/{MODEL}/123456789012/sagemaker/us-east-1/offline-store"


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights([1]).head(40).with_columns(carrier=pl.Series(["UA", "DL", "AA", "UA"] * 10))


class Refusing(FakeRuntime):
    """A store whose records may be read and not deleted."""

    def delete_record(self, **_: Any) -> dict[str, Any]:
        raise refusal("AccessDeniedException")


class DyingRuntime(Dying):
    WRITES = ("delete_record",)


@dataclass
class Stage:
    """A stage whose runs filled a feature group."""

    world: World
    features: FeatureIngest
    runtime: FakeRuntime
    validation: Any

    @classmethod
    def build(cls, world: World, section: str, *uploads: pl.DataFrame) -> "Stage":
        model = world.root / "model" / "model.yaml"
        model.write_text(f"{model.read_text()}\nfeature_store: {section}\n")
        function = world.load("validate")
        ingestion: FeatureIngest = function.validation.features
        group = ingestion.group
        runtime = FakeRuntime(group.entity.name, group.time_name)
        features = replace(ingestion, feature_store=FeatureStore(group.name, runtime))
        stage = cls(world, features, runtime, replace(function.validation, features=features))
        for number, rows in enumerate(uploads):
            stage.run(world.take(f"u{number}.csv", rows.write_csv().encode()))
        stage.append(group.name)
        return stage

    @property
    def group(self) -> StoredGroup:
        group = self.features.group
        return StoredGroup(group.name, group.entity.name, group.time_name, online=group.online)

    def run(self, run: str) -> None:
        self.validation.run(run, NOW.isoformat())
        self.world.end_run(run)

    def append(self, group: str) -> None:
        """Write what was put as SageMaker's offline file, in two versions."""
        data = io.BytesIO()
        pl.DataFrame(self.runtime.puts).write_parquet(data)
        for _ in range(2):
            self.world.store.write(f"{OFFLINE}/{group}-1700000000/data/year=2026/x.parquet", data.getvalue())

    def stored(self, runtime: Any = None, groups: Sequence[StoredGroup] | None = None) -> StoredFeatures:
        client = runtime or self.runtime
        return StoredFeatures(
            stage="dev",
            lake=self.world.lake,
            store=self.world.store,
            is_configured=True,
            list_groups=lambda _: [self.group] if groups is None else groups,
            open_group=lambda name: FeatureStore(name, client),
        )

    def eraser(self, *, runtime: Any = None, **gateways: Any) -> Eraser:
        world = self.world
        parts: dict[str, Any] = {
            "store": world.store,
            "ledger": world.ledger,
            "features": self.stored(runtime),
        } | gateways
        return Eraser(contract=self.validation.contract, lake=world.lake, **parts)

    def erase(self, key: str, column: str | None = None, **gateways: Any) -> Erasure:
        subject = Subject(self.validation.contract, [key], column)
        return self.eraser(**gateways).erase(subject, by=BY, reason="asked by letter", now=NOW)

    def preview(self, key: str, **gateways: Any) -> Erasure:
        return self.eraser(**gateways).preview(Subject(self.validation.contract, [key]))

    def offline(self) -> list[pl.DataFrame]:
        """Return every version of every offline file."""
        versions = self.world.store.all_versions(f"features/{MODEL}/")
        return [pl.read_parquet(self.world.store.read(version.key, version.version_id)) for version, _ in versions]

    def ingested_parts(self) -> set[str]:
        return set(self.world.store.json(self.world.lake.stored(self.group.name))["parts"])

    def records_of_a_new_group(self) -> dict[str, dict[str, str]]:
        """Return what a new group would have of the current dataset."""
        version = self.world.ledger.current_dataset()
        assert version is not None
        runtime = FakeRuntime(self.group.entity_name, self.group.time_name)
        features = replace(self.features, feature_store=FeatureStore(self.group.name, runtime), created="anew")
        note = self.world.lake.stored(self.group.name)
        before = self.world.store.read(note)
        features.ingest(Dataset.read(self.world.store.read(self.world.lake.version(version))))
        self.world.store.write(note, before)
        return runtime.records


def test_an_entity_is_removed_online_and_offline(world: World, table: pl.DataFrame) -> None:
    # Given a store whose entity is the row key
    stage, key = Stage.build(world, "{}", table), table["flight_id"][3]
    before, parts = dict(stage.runtime.records), stage.ingested_parts()
    preview = stage.preview(key)
    assert (stage.runtime.records, preview.features, preview.rows["features"]) == (before, 1, 1)
    # When the subject is erased
    result = stage.erase(key)
    # Then its record and its rows are removed from all versions, and the others' are there
    assert set(stage.runtime.records) == set(table["flight_id"]) - {key}
    assert [set(rows["flight_id"]) for rows in stage.offline()] == [set(table["flight_id"]) - {key}]
    assert not [name for name, data in everything() if key.encode() in data]
    # And no version of the list has the removed part
    notes = [data.decode() for name, data in everything() if "/stored/" in name]
    assert notes
    assert not [note for note in notes for part in parts if part in note]
    # And the erasure is recorded without the key
    (record,) = world.ledger.forgettings()
    assert (result.features, record["features"], record["rows"]) == (1, 1, preview.rows)
    assert key not in json.dumps(world.records())
    # And a repeated erasure finds nothing
    count = len(list(everything()))
    assert stage.erase(key).nothing
    assert len(list(everything())) == count


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_entity_with_other_rows_gets_its_features_again(world: World, table: pl.DataFrame, number: int) -> None:
    # Given carriers with flights in three uploads, the second a month later, the third with the same times as the first
    other = table.with_columns(pl.col("flight_id") + "-b", pl.col("departs_at").str.replace("-01-", "-02-"))
    corrected = table.with_columns(pl.col("flight_id") + "-c", dep_delay=pl.lit(7.0))
    uploads = [table, other, corrected]
    stage = Stage.build(world, "{entity: carrier, features: [dep_delay]}", *uploads)
    assert stage.runtime.records == stage.records_of_a_new_group()
    # When the newest flight of a carrier in one upload is erased
    newest = uploads[number].filter(carrier="UA").sort("departs_at")["flight_id"][-1]
    result = stage.erase(newest)
    # Then the carrier has no record, online or offline
    assert (result.features, set(stage.runtime.records)) == (1, {"DL", "AA"})
    assert [set(rows["carrier"]) for rows in stage.offline()] == [{"DL", "AA"}]
    # And after the next run the store has what a new group would have
    stage.run(world.open_run("next"))
    assert stage.runtime.records == stage.records_of_a_new_group()
    assert "UA" in stage.runtime.records


def test_of_two_rows_with_the_same_time_the_later_upload_wins(world: World, table: pl.DataFrame) -> None:
    # Given rows that were corrected by a later upload
    corrected = table.slice(10).with_columns(dep_delay=pl.lit(7.0))
    stage = Stage.build(world, "{}", table, corrected)
    # When a subject is erased that only the first upload has
    stage.erase(table["flight_id"][0])
    stage.run(world.open_run("next"))
    # Then the corrected rows remain
    assert stage.runtime.records == stage.records_of_a_new_group()
    assert {float(record["dep_delay"]) for record in stage.runtime.records.values()} >= {7.0}
    assert float(stage.runtime.records[table["flight_id"][20]]["dep_delay"]) == 7.0


def test_unaffected_parts_are_not_ingested_again(world: World, table: pl.DataFrame) -> None:
    stage = Stage.build(world, "{}", table.head(20), table.tail(20))
    puts = len(stage.runtime.puts)
    stage.erase(table["flight_id"][3])
    stage.run(world.open_run("next"))
    assert len(stage.runtime.puts) == puts + 19


def test_an_erasure_killed_after_any_write_is_completed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: pl.DataFrame
) -> None:
    undisturbed: Any = None
    for writes in range(40):
        with mock_aws():
            world = World.build(monkeypatch, tmp_path / str(writes))
            stage = Stage.build(world, "{entity: carrier, features: [dep_delay]}", table.head(12), table.slice(12, 8))
            key, budget, was_killed = table["flight_id"][3], [writes], False
            gateways: dict[str, Any] = {"store": Dying(world.store, budget), "ledger": Dying(world.ledger, budget)}
            try:
                stage.erase(key, runtime=DyingRuntime(stage.runtime, budget), **gateways)
            except KilledError:
                was_killed = True
                stage.erase(key)
            erasures = [(item["rows"], item["features"]) for item in world.ledger.forgettings()]
            state = (dict(stage.runtime.records), world.ledger.current_dataset(), erasures, stage.ingested_parts())
            undisturbed = undisturbed or state
            assert state == undisturbed, writes
            assert not [name for name, data in everything() if key.encode() in data]
            assert not world.keys(f"forgetting/{MODEL}/")
            stage.run(world.open_run("next"))
            assert stage.runtime.records == stage.records_of_a_new_group()
        if writes and not was_killed:
            assert writes > 10
            return
    raise AssertionError("it was never completed")


def test_a_store_that_cannot_be_searched_removes_nothing(world: World, table: pl.DataFrame) -> None:
    stage, key = Stage.build(world, "{}", table), table["flight_id"][3]
    before = list(everything())

    class Closed:
        def get_paginator(self, _: str) -> Any:
            raise refusal("AccessDeniedException")

    closed = replace(stage.stored(), list_groups=lambda pattern: find_groups(pattern, Closed()))
    with pytest.raises(FeatureStoreError, match=r"needs sagemaker:ListFeatureGroups and .*AccessDenied"):
        stage.erase(key, features=closed)
    stage.runtime.failing = [refusal("AccessDeniedException")]
    with pytest.raises(FeatureStoreError, match=r"nothing was removed\. Forgetting needs leave to sagemaker:BatchGet"):
        stage.erase(key)
    assert (list(everything()), world.ledger.holder("run")) == (before, None)


def test_a_record_that_was_not_deleted_is_deleted_by_the_next_erasure(world: World, table: pl.DataFrame) -> None:
    # Given credentials that may read records and delete none
    stage, key = Stage.build(world, "{}", table), table["flight_id"][3]
    refusing = Refusing("flight_id", "departs_at")
    refusing.records = stage.runtime.records
    with pytest.raises(
        ForgettingError, match=r"did not delete a record: .*nothing is lost.*sagemaker:DeleteRecord"
    ) as e:
        stage.erase(key, runtime=refusing)
    assert key not in str(e.value)
    # Then no run begins, and an erasure without a store does not skip it
    assert (world.ledger.holder("run") or "").startswith("forgetting-")
    with pytest.raises(ForgettingError, match="no store is given"):
        stage.erase(key, features=None)
    # When it is repeated with the permission, then it is completed
    assert stage.erase(key).finished
    assert key not in stage.runtime.records
    assert not [name for name, data in everything() if key.encode() in data]


def test_a_group_that_was_deleted_meanwhile_is_no_error(world: World, table: pl.DataFrame) -> None:
    stage, key = Stage.build(world, "{}", table), table["flight_id"][3]
    refusing = Refusing("flight_id", "departs_at")
    refusing.records = stage.runtime.records
    with pytest.raises(ForgettingError):
        stage.erase(key, runtime=refusing)
    assert stage.erase(key, features=stage.stored(groups=[])).finished
    assert world.ledger.holder("run") is None


def test_files_of_a_group_that_was_deleted_are_rewritten(world: World, table: pl.DataFrame) -> None:
    stage, key = Stage.build(world, "{}", table), table["flight_id"][3]
    result = stage.erase(key, features=stage.stored(groups=[]))
    assert (result.features, result.rows["features"]) == (0, 1)
    assert [key in rows["flight_id"] for rows in stage.offline()] == [False]


def test_a_group_whose_entity_is_no_longer_a_column_is_reported(world: World, table: pl.DataFrame) -> None:
    stage = Stage.build(world, "{}", table)
    earlier = StoredGroup("penstock-dev-flight-delay-00000000", "tail", "departs_at", online=True)
    preview = stage.preview(table["flight_id"][3], features=stage.stored(groups=[stage.group, earlier]))
    (unread,) = preview.unread
    assert "its entity tail is no column of the contract" in unread


def test_a_record_is_found_without_rows_in_the_lake(world: World, table: pl.DataFrame) -> None:
    # Given a subject whose rows were erased, and whose record was written again
    stage, key = Stage.build(world, "{}", table), table["flight_id"][3]
    record = dict(stage.runtime.records[key])
    stage.erase(key)
    stage.runtime.records[key] = record
    # When it is erased again, then the record is removed
    result = stage.erase(key)
    assert (result.nothing, result.features, result.rows) == (False, 1, {})
    assert key not in stage.runtime.records


def test_a_model_that_never_had_a_store_lists_no_groups(world: World, table: pl.DataFrame) -> None:
    validate = world.load("validate")
    run = world.take("a.csv", table.write_csv().encode())
    validate.handler({"run": run}, None)

    def list_groups(_: str) -> Any:
        raise AssertionError("groups were listed")

    stored = StoredFeatures(
        stage="dev", lake=world.lake, store=world.store, is_configured=False, list_groups=list_groups
    )
    assert stored.groups() == []
    # But a model that had one lists them
    world.store.write_json(world.lake.stored("g"), {"made": "", "parts": {}})
    with pytest.raises(AssertionError, match="groups were listed"):
        stored.groups()
