"""The latest features of each entity, out of parts into the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.flights import flights
from penstock.aws.feature_store import FeatureStore, FeatureStoreError
from penstock.datasets.version import Dataset, Part
from penstock.features.group import FeatureGroup
from penstock.features.ingest import TIME, Features, latest, records
from tests.support.fake_runtime import FakeRuntime, refusal
from tests.support.world import BUCKET, World
from tests.unit.features.test_group import CONTRACT, FEATURES, KEY, TARGET, contract_of, made

START = datetime(2026, 3, 4, tzinfo=UTC)
UPLOADED = START + timedelta(days=9)
SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "carrier": pl.String,
    "delay": pl.Float64,
    "seats": pl.Int64,
    "full": pl.Boolean,
    "late": pl.Boolean,
}
Row = tuple[str | None, int | None]
"""Entity, and minutes after the start."""


def table(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows whose `seats` are their numbers."""
    data = [
        (entity, None if after is None else START + timedelta(minutes=after), "UA", 1.5, number, True, False)
        for number, (entity, after) in enumerate(rows)
    ]
    return pl.DataFrame(data, schema=SCHEMA, orient="row")


entities = st.sampled_from(["a", "b", "c", None])
some_rows = st.lists(st.tuples(entities, st.one_of(st.none(), st.integers(-3, 3))), max_size=25)


@given(some_rows)
def test_the_latest_row_of_each_entity(rows: list[Row]) -> None:
    found = latest(table(rows), made(), UPLOADED)
    # By hand: the greatest time, and of those the last row
    expected: dict[str, tuple[int, int]] = {}
    for number, (entity, after) in enumerate(rows):
        if entity is not None and after is not None and (after, number) >= expected.get(entity, (-99, 0)):
            expected[entity] = (after, number)
    assert dict(found.select("id", "seats").iter_rows()) == {name: number for name, (_, number) in expected.items()}


@given(some_rows, st.integers(0, 25), st.permutations([0, 1]))
def test_parts_in_any_order_leave_the_newest(rows: list[Row], cut: int, order: list[int]) -> None:
    # Given no two rows of an entity with the same time
    distinct = list(dict.fromkeys(rows))
    group, whole = made(), table(distinct)
    halves = [whole.head(cut), whole.slice(cut)]
    # When the halves are put in either order, and all at once
    stores = [FakeRuntime("id", "at"), FakeRuntime("id", "at")]
    for number in order:
        FeatureStore("g", stores[0]).put(records(latest(halves[number], group, UPLOADED), group))
    FeatureStore("g", stores[1]).put(records(latest(whole, group, UPLOADED), group))
    # Then the store holds the same
    assert stores[0].records == stores[1].records


def test_a_record_is_text_and_lacks_what_is_missing() -> None:
    group = made()
    rows = pl.DataFrame([("a", START, None, 0.1, -3, False, True)], schema=SCHEMA, orient="row")
    assert list(records(latest(rows, group, UPLOADED), group)) == [
        {"id": "a", "at": "2026-03-04T00:00:00.000Z", "delay": "0.1", "seats": "-3", "full": "0"}
    ]


def test_without_event_time_the_upload_is_the_time() -> None:
    group = made(contract_of(KEY, TARGET, *FEATURES))
    found = latest(table([("a", 2), ("a", 1)]).drop("at"), group, UPLOADED)
    assert found.select("seats", TIME).rows() == [(1, UPLOADED)]
    assert next(records(found, group))["uploaded_at"] == "2026-03-13T00:00:00.000Z"


# The step


class Kept:
    """A lake with parts, and a store to fill."""

    def __init__(self, world: World, group: FeatureGroup) -> None:
        self.world, self.group = world, group
        self.runtime = FakeRuntime("id", group.time_name)
        self.features = Features(
            group=group, feature_store=FeatureStore(group.name, self.runtime), lake=world.lake, store=world.store
        )

    def part(self, name: str, rows: Sequence[Row], place: str = "", upload: str = "raw/flight-delay/x.csv") -> Part:
        path = self.world.root / name
        table(rows).write_parquet(path)
        self.world.store.write_file(self.world.lake.part(name), path)
        return Part(name, len(rows), 1, (f"s3://{BUCKET}/{upload}?versionId=1",), places=(place,) if place else ())

    def noted(self) -> Any:
        return self.world.store.json(self.world.lake.stored(self.group.name))["parts"]


def dataset(*parts: Part) -> Dataset:
    return Dataset("flight-delay", CONTRACT.digest, parts)


@pytest.fixture
def kept(world: World) -> Kept:
    return Kept(world, made())


def test_a_part_is_put_once(kept: Kept) -> None:
    # Given a version with one part, and a row each without entity and without time
    first = kept.part("one", [("a", 1), ("b", 1), (None, 1), ("c", None)])
    kept.features.keep(dataset(first))
    assert set(kept.runtime.records) == {"a", "b"}
    assert kept.noted() == {"one": {"entities": 2, "left_out": 2}}
    # When the same comes again, then nothing is put; with another part, that one's
    kept.features.keep(dataset(first))
    assert len(kept.runtime.puts) == 2
    kept.features.keep(dataset(first, kept.part("two", [("a", 2)])))
    assert (len(kept.runtime.puts), kept.runtime.records["a"]["at"]) == (3, "2026-03-04T00:02:00.000Z")


def test_what_leaves_the_dataset_stays_in_the_store(kept: Kept) -> None:
    kept.features.keep(dataset(kept.part("one", [("a", 1)])))
    kept.features.keep(dataset(kept.part("two", [("b", 1)])))
    assert set(kept.runtime.records) == {"a", "b"}
    assert set(kept.noted()) == {"two"}


def test_a_step_that_failed_goes_on_where_it_ended(kept: Kept) -> None:
    # Given the store refuses something of the second part
    parts = [kept.part("one", [("a", 1)]), kept.part("two", [("b", 1), ("c", 1)])]
    kept.features.keep(dataset(parts[0]))
    kept.runtime.failing = [refusal("ThrottlingException")]
    with pytest.raises(FeatureStoreError, match="ThrottlingException"):
        kept.features.keep(dataset(*parts))
    assert set(kept.noted()) == {"one"}
    # When the step is repeated, then all is there, and the first part was put once
    kept.features.keep(dataset(*parts))
    assert set(kept.runtime.records) == {"a", "b", "c"}
    assert [put["id"] for put in kept.runtime.puts].count("a") == 1
    assert set(kept.noted()) == {"one", "two"}


def test_another_group_is_filled_from_the_whole_dataset(kept: Kept, world: World) -> None:
    parts = dataset(kept.part("one", [("a", 1)]), kept.part("two", [("b", 1)]))
    kept.features.keep(parts)
    other = Kept(world, made(features=["seats"]))
    other.features.keep(parts)
    assert set(other.runtime.records) == {"a", "b"}
    assert set(other.runtime.records["a"]) == {"id", "at", "seats"}


def test_a_group_that_was_made_anew_is_filled_again(kept: Kept) -> None:
    part = kept.part("one", [("a", 1)])
    kept.features.keep(dataset(part))
    anew = replace(kept.features, made="2026-03-05")
    for _ in range(2):
        anew.keep(dataset(part))
    assert len(kept.runtime.puts) == 2


def test_the_order_of_uploads_is_the_order_without_event_time(world: World) -> None:
    # Given an upload that was put between two others, and comes last
    kept = Kept(world, made(contract_of(KEY, TARGET, *FEATURES)))
    days = [f"2026-03-0{day}T00:00:00Z 0 raw/x" for day in (1, 2, 3)]
    names = ("one", "two", "three")
    parts = [
        kept.part(name, [("other", 0)] * number + [("a", 0)], day)
        for number, (name, day) in enumerate(zip(names, days, strict=True))
    ]
    kept.features.keep(dataset(parts[0], parts[2]))
    kept.features.keep(dataset(*parts))
    assert kept.runtime.records["a"]["seats"] == "2"
    assert kept.runtime.records["a"]["uploaded_at"] == "2026-03-03T00:00:00.000Z"


def test_rows_that_requests_brought_are_not_put(kept: Kept) -> None:
    captured = kept.part("one", [("a", 9)], upload="labelled/flight-delay/abc.parquet")
    kept.features.keep(dataset(captured, kept.part("two", [("a", 1)])))
    assert [put["at"] for put in kept.runtime.puts] == ["2026-03-04T00:01:00.000Z"]


# The run's step


def test_a_run_brings_the_store_up_to_its_dataset(world: World) -> None:
    # Given a model with a store, and a run that took an upload
    model = world.root / "model" / "model.yaml"
    model.write_text(f"{model.read_text()}\nfeature_store: {{features: [dep_delay]}}\n")
    function = world.load("validate")
    runtime = FakeRuntime("flight_id", "departs_at")
    own = function.validation.features
    assert own is not None
    features = replace(own, feature_store=FeatureStore(own.group.name, runtime))
    validation = replace(function.validation, features=features)
    january = flights([1]).head(50)
    run = world.take("jan.csv", january.write_csv().encode())
    # When the step dies on the store, and is repeated
    runtime.failing = [refusal("AccessForbidden")]
    with pytest.raises(FeatureStoreError):
        validation.run(run, "2026-03-04T05:06:07.890+00:00")
    result = validation.run(run, "2026-03-04T05:06:07.890+00:00")
    # Then the store has the last flight of each key, and the run goes on
    assert result["outcome"] == "train"
    assert set(runtime.records) == set(january["flight_id"])
    delays = dict(january.select("flight_id", "dep_delay").iter_rows())
    assert {name: float(row["dep_delay"]) for name, row in runtime.records.items()} == delays
