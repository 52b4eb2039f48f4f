"""A subject is forgotten by the feature store too: online, offline, and by the notes of what was put."""

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
    """May be read from, and not deleted in."""

    def delete_record(self, **_: Any) -> dict[str, Any]:
        raise refusal("AccessDeniedException")


class DyingRuntime(Dying):
    WRITES = ("delete_record",)


@dataclass
class Filled:
    """A stage whose runs filled a feature group."""

    world: World
    features: FeatureIngest
    runtime: FakeRuntime
    validation: Any

    @classmethod
    def build(cls, world: World, asked: str, *uploads: pl.DataFrame) -> "Filled":
        model = world.root / "model" / "model.yaml"
        model.write_text(f"{model.read_text()}\nfeature_store: {asked}\n")
        function = world.load("validate")
        own: FeatureIngest = function.validation.features
        runtime = FakeRuntime(own.group.entity.name, own.group.time_name)
        features = replace(own, feature_store=FeatureStore(own.group.name, runtime))
        made = cls(world, features, runtime, replace(function.validation, features=features))
        for number, rows in enumerate(uploads):
            made.run(world.take(f"u{number}.csv", rows.write_csv().encode()))
        made.append(own.group.name)
        return made

    @property
    def group(self) -> StoredGroup:
        group = self.features.group
        return StoredGroup(group.name, group.entity.name, group.time_name, online=group.online)

    def run(self, run: str) -> None:
        self.validation.run(run, NOW.isoformat())
        self.world.end_run(run)

    def append(self, group: str) -> None:
        """What was put, twice over as SageMaker's offline file of it."""
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
        given: dict[str, Any] = {
            "store": world.store,
            "ledger": world.ledger,
            "features": self.stored(runtime),
        } | gateways
        return Eraser(contract=self.validation.contract, lake=world.lake, **given)

    def forget(self, key: str, column: str | None = None, **gateways: Any) -> Erasure:
        subject = Subject(self.validation.contract, [key], column)
        return self.eraser(**gateways).erase(subject, by=BY, reason="asked by letter", now=NOW)

    def look(self, key: str, **gateways: Any) -> Erasure:
        return self.eraser(**gateways).preview(Subject(self.validation.contract, [key]))

    def offline(self) -> list[pl.DataFrame]:
        """Every version of every offline file."""
        held = self.world.store.all_versions(f"features/{MODEL}/")
        return [pl.read_parquet(self.world.store.read(version.key, version.version_id)) for version, _ in held]

    def noted(self) -> set[str]:
        return set(self.world.store.json(self.world.lake.stored(self.group.name))["parts"])

    def from_nothing(self) -> dict[str, dict[str, str]]:
        """What a new group would hold of the dataset as it is."""
        version = self.world.ledger.current_dataset()
        assert version is not None
        runtime = FakeRuntime(self.group.entity_name, self.group.time_name)
        features = replace(self.features, feature_store=FeatureStore(self.group.name, runtime), created="anew")
        note = self.world.lake.stored(self.group.name)
        before = self.world.store.read(note)
        features.ingest(Dataset.read(self.world.store.read(self.world.lake.version(version))))
        self.world.store.write(note, before)
        return runtime.records


def test_nothing_of_an_entity_is_left_online_or_offline(world: World, table: pl.DataFrame) -> None:
    # Given a store that knows the subject by its key
    filled, key = Filled.build(world, "{}", table), table["flight_id"][3]
    before, parts = dict(filled.runtime.records), filled.noted()
    look = filled.look(key)
    assert (filled.runtime.records, look.features, look.rows["features"]) == (before, 1, 1)
    # When it is forgotten
    done = filled.forget(key)
    # Then its record and its rows are gone from all versions, and the others' are there
    assert set(filled.runtime.records) == set(table["flight_id"]) - {key}
    assert [set(rows["flight_id"]) for rows in filled.offline()] == [set(table["flight_id"]) - {key}]
    assert not [name for name, data in everything() if key.encode() in data]
    # And no version of the note names the part that is gone
    notes = [data.decode() for name, data in everything() if "/stored/" in name]
    assert notes
    assert not [note for note in notes for part in parts if part in note]
    # And it is told, and recorded without a name
    (record,) = world.ledger.forgettings()
    assert (done.features, record["features"], record["rows"]) == (1, 1, look.rows)
    assert key not in json.dumps(world.records())
    # And once more there is nothing to do
    count = len(list(everything()))
    assert filled.forget(key).nothing
    assert len(list(everything())) == count


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_entity_that_others_share_gets_its_features_again(world: World, table: pl.DataFrame, number: int) -> None:
    # Given carriers with flights in three uploads, the second a month later, the third with the same times as the first
    other = table.with_columns(pl.col("flight_id") + "-b", pl.col("departs_at").str.replace("-01-", "-02-"))
    corrected = table.with_columns(pl.col("flight_id") + "-c", dep_delay=pl.lit(7.0))
    uploads = [table, other, corrected]
    filled = Filled.build(world, "{entity: carrier, features: [dep_delay]}", *uploads)
    assert filled.runtime.records == filled.from_nothing()
    # When the flight is forgotten that the newest features of its carrier may be of
    newest = uploads[number].filter(carrier="UA").sort("departs_at")["flight_id"][-1]
    done = filled.forget(newest)
    # Then the carrier has none, and offline none either
    assert (done.features, set(filled.runtime.records)) == (1, {"DL", "AA"})
    assert [set(rows["carrier"]) for rows in filled.offline()] == [{"DL", "AA"}]
    # And the next run brings what a new group would have
    filled.run(world.open_run("next"))
    assert filled.runtime.records == filled.from_nothing()
    assert "UA" in filled.runtime.records


def test_of_two_rows_with_the_same_time_the_later_upload_stays(world: World, table: pl.DataFrame) -> None:
    # Given rows that were corrected by a later upload
    corrected = table.slice(10).with_columns(dep_delay=pl.lit(7.0))
    filled = Filled.build(world, "{}", table, corrected)
    # When somebody is forgotten whom only the first one has
    filled.forget(table["flight_id"][0])
    filled.run(world.open_run("next"))
    # Then the correction stands
    assert filled.runtime.records == filled.from_nothing()
    assert {float(record["dep_delay"]) for record in filled.runtime.records.values()} >= {7.0}
    assert float(filled.runtime.records[table["flight_id"][20]]["dep_delay"]) == 7.0


def test_parts_that_have_nothing_to_do_with_it_are_not_put_again(world: World, table: pl.DataFrame) -> None:
    filled = Filled.build(world, "{}", table.head(20), table.tail(20))
    puts = len(filled.runtime.puts)
    filled.forget(table["flight_id"][3])
    filled.run(world.open_run("next"))
    assert len(filled.runtime.puts) == puts + 19


def test_one_that_dies_after_any_write_ends_the_same_when_it_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: pl.DataFrame
) -> None:
    clean: Any = None
    for writes in range(40):
        with mock_aws():
            world = World.build(monkeypatch, tmp_path / str(writes))
            filled = Filled.build(world, "{entity: carrier, features: [dep_delay]}", table.head(12), table.slice(12, 8))
            key, budget, died = table["flight_id"][3], [writes], False
            gateways: dict[str, Any] = {"store": Dying(world.store, budget), "ledger": Dying(world.ledger, budget)}
            try:
                filled.forget(key, runtime=DyingRuntime(filled.runtime, budget), **gateways)
            except KilledError:
                died = True
                filled.forget(key)
            forgotten = [(item["rows"], item["features"]) for item in world.ledger.forgettings()]
            ended = (dict(filled.runtime.records), world.ledger.current_dataset(), forgotten, filled.noted())
            clean = clean or ended
            assert ended == clean, writes
            assert not [name for name, data in everything() if key.encode() in data]
            assert not world.keys(f"forgetting/{MODEL}/")
            filled.run(world.open_run("next"))
            assert filled.runtime.records == filled.from_nothing()
        if writes and not died:
            assert writes > 10
            return
    raise AssertionError("it never came to its end")


def test_a_store_that_may_not_be_asked_is_a_sentence_and_nothing_is_removed(world: World, table: pl.DataFrame) -> None:
    filled, key = Filled.build(world, "{}", table), table["flight_id"][3]
    before = list(everything())

    class Closed:
        def get_paginator(self, _: str) -> Any:
            raise refusal("AccessDeniedException")

    closed = replace(filled.stored(), list_groups=lambda pattern: find_groups(pattern, Closed()))
    with pytest.raises(FeatureStoreError, match=r"needs sagemaker:ListFeatureGroups and .*AccessDenied"):
        filled.forget(key, features=closed)
    filled.runtime.failing = [refusal("AccessDeniedException")]
    with pytest.raises(FeatureStoreError, match=r"nothing was removed\. Forgetting needs leave to sagemaker:BatchGet"):
        filled.forget(key)
    assert (list(everything()), world.ledger.holder("run")) == (before, None)


def test_a_store_that_keeps_a_record_is_asked_again_by_the_next(world: World, table: pl.DataFrame) -> None:
    # Given credentials that may read records and delete none
    filled, key = Filled.build(world, "{}", table), table["flight_id"][3]
    refusing = Refusing("flight_id", "departs_at")
    refusing.records = filled.runtime.records
    with pytest.raises(
        ForgettingError, match=r"did not delete a record: .*nothing is lost.*sagemaker:DeleteRecord"
    ) as e:
        filled.forget(key, runtime=refusing)
    assert key not in str(e.value)
    # Then no run begins, and one without a store does not pass over it
    assert (world.ledger.holder("run") or "").startswith("forgetting-")
    with pytest.raises(ForgettingError, match="no store is given"):
        filled.forget(key, features=None)
    # When it is said with the right to, then it is finished
    assert filled.forget(key).finished
    assert key not in filled.runtime.records
    assert not [name for name, data in everything() if key.encode() in data]


def test_a_group_that_is_gone_meanwhile_keeps_nobody(world: World, table: pl.DataFrame) -> None:
    filled, key = Filled.build(world, "{}", table), table["flight_id"][3]
    refusing = Refusing("flight_id", "departs_at")
    refusing.records = filled.runtime.records
    with pytest.raises(ForgettingError):
        filled.forget(key, runtime=refusing)
    assert filled.forget(key, features=filled.stored(groups=[])).finished
    assert world.ledger.holder("run") is None


def test_files_of_a_group_that_was_deleted_are_rewritten(world: World, table: pl.DataFrame) -> None:
    filled, key = Filled.build(world, "{}", table), table["flight_id"][3]
    done = filled.forget(key, features=filled.stored(groups=[]))
    assert (done.features, done.rows["features"]) == (0, 1)
    assert [key in rows["flight_id"] for rows in filled.offline()] == [False]


def test_a_group_whose_entity_is_no_column_any_more_is_named(world: World, table: pl.DataFrame) -> None:
    filled = Filled.build(world, "{}", table)
    earlier = StoredGroup("penstock-dev-flight-delay-00000000", "tail", "departs_at", online=True)
    look = filled.look(table["flight_id"][3], features=filled.stored(groups=[filled.group, earlier]))
    (unread,) = look.unread
    assert "its entity tail is no column of the contract" in unread


def test_a_record_that_came_late_is_found_without_its_rows(world: World, table: pl.DataFrame) -> None:
    # Given a subject whose rows went, and whom the store got again
    filled, key = Filled.build(world, "{}", table), table["flight_id"][3]
    record = dict(filled.runtime.records[key])
    filled.forget(key)
    filled.runtime.records[key] = record
    # When it is forgotten again, then that is more than nothing
    done = filled.forget(key)
    assert (done.nothing, done.features, done.rows) == (False, 1, {})
    assert key not in filled.runtime.records


def test_a_model_that_never_had_a_store_asks_none(world: World, table: pl.DataFrame) -> None:
    validate = world.load("validate")
    run = world.take("a.csv", table.write_csv().encode())
    validate.handler({"run": run}, None)

    def unasked(_: str) -> Any:
        raise AssertionError("it was asked")

    stored = StoredFeatures(stage="dev", lake=world.lake, store=world.store, is_configured=False, list_groups=unasked)
    assert stored.groups() == []
    # But one that had one is asked still
    world.store.write_json(world.lake.stored("g"), {"made": "", "parts": {}})
    with pytest.raises(AssertionError, match="it was asked"):
        stored.groups()
