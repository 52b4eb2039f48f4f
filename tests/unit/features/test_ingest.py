"""Ingestion of the latest features of each entity from parts into the store."""

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
from penstock.features.ingest import TIME, FeatureIngest, latest_rows, to_records
from tests.support.fake_runtime import FakeRuntime, refusal
from tests.support.world import BUCKET, World
from tests.unit.features.test_group import CONTRACT, FEATURES, KEY, TARGET, contract_of, group_of

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
def test_the_latest_row_of_each_entity_is_selected(rows: list[Row]) -> None:
    selection = latest_rows(table(rows), group_of(), UPLOADED)
    # Expected: the greatest time, and of rows with the same one the last
    expected: dict[str, tuple[int, int]] = {}
    for number, (entity, after) in enumerate(rows):
        if entity is not None and after is not None and (after, number) >= expected.get(entity, (-99, 0)):
            expected[entity] = (after, number)
    assert dict(selection.select("id", "seats").iter_rows()) == {name: number for name, (_, number) in expected.items()}


@given(some_rows, st.integers(0, 25), st.permutations([0, 1]))
def test_the_order_of_parts_does_not_matter(rows: list[Row], cut: int, order: list[int]) -> None:
    # Given no two rows of an entity with the same time
    distinct = list(dict.fromkeys(rows))
    group, whole = group_of(), table(distinct)
    halves = [whole.head(cut), whole.slice(cut)]
    # When the halves are put in either order, and all at once
    stores = [FakeRuntime("id", "at"), FakeRuntime("id", "at")]
    for number in order:
        FeatureStore("g", stores[0]).put(to_records(latest_rows(halves[number], group, UPLOADED), group))
    FeatureStore("g", stores[1]).put(to_records(latest_rows(whole, group, UPLOADED), group))
    # Then the store holds the same
    assert stores[0].records == stores[1].records


def test_a_record_is_text_without_missing_values() -> None:
    group = group_of()
    rows = pl.DataFrame([("a", START, None, 0.1, -3, False, True)], schema=SCHEMA, orient="row")
    assert list(to_records(latest_rows(rows, group, UPLOADED), group)) == [
        {"id": "a", "at": "2026-03-04T00:00:00.000Z", "delay": "0.1", "seats": "-3", "full": "0"}
    ]


def test_without_event_time_the_upload_time_counts() -> None:
    group = group_of(contract_of(KEY, TARGET, *FEATURES))
    selection = latest_rows(table([("a", 2), ("a", 1)]).drop("at"), group, UPLOADED)
    assert selection.select("seats", TIME).rows() == [(1, UPLOADED)]
    assert next(to_records(selection, group))["uploaded_at"] == "2026-03-13T00:00:00.000Z"


# The step


class Setup:
    """A lake with parts, and a store to fill."""

    def __init__(self, world: World, group: FeatureGroup) -> None:
        self.world, self.group = world, group
        self.runtime = FakeRuntime("id", group.time_name)
        self.ingestion = FeatureIngest(
            group=group, feature_store=FeatureStore(group.name, self.runtime), lake=world.lake, store=world.store
        )

    def part(self, name: str, rows: Sequence[Row], place: str = "", upload: str = "raw/flight-delay/x.csv") -> Part:
        path = self.world.root / name
        table(rows).write_parquet(path)
        self.world.store.write_file(self.world.lake.part(name), path)
        return Part(name, len(rows), 1, (f"s3://{BUCKET}/{upload}?versionId=1",), places=(place,) if place else ())

    def note(self) -> Any:
        return self.world.store.json(self.world.lake.stored(self.group.name))["parts"]


def dataset(*parts: Part) -> Dataset:
    return Dataset("flight-delay", CONTRACT.digest, parts)


@pytest.fixture
def setup(world: World) -> Setup:
    return Setup(world, group_of())


def test_a_part_is_ingested_once(setup: Setup) -> None:
    # Given a version with one part, and a row each without entity and without time
    first = setup.part("one", [("a", 1), ("b", 1), (None, 1), ("c", None)])
    setup.ingestion.ingest(dataset(first))
    assert set(setup.runtime.records) == {"a", "b"}
    assert setup.note() == {"one": {"entities": 2, "left_out": 2}}
    # When it is ingested again, then nothing is put; with another part, only that one
    setup.ingestion.ingest(dataset(first))
    assert len(setup.runtime.puts) == 2
    setup.ingestion.ingest(dataset(first, setup.part("two", [("a", 2)])))
    assert (len(setup.runtime.puts), setup.runtime.records["a"]["at"]) == (3, "2026-03-04T00:02:00.000Z")


def test_rows_that_leave_the_dataset_stay_in_the_store(setup: Setup) -> None:
    setup.ingestion.ingest(dataset(setup.part("one", [("a", 1)])))
    setup.ingestion.ingest(dataset(setup.part("two", [("b", 1)])))
    assert set(setup.runtime.records) == {"a", "b"}
    assert set(setup.note()) == {"two"}


def test_a_repeated_step_continues_where_it_failed(setup: Setup) -> None:
    # Given a store that refuses a record of the second part
    parts = [setup.part("one", [("a", 1)]), setup.part("two", [("b", 1), ("c", 1)])]
    setup.ingestion.ingest(dataset(parts[0]))
    setup.runtime.failing = [refusal("ThrottlingException")]
    with pytest.raises(FeatureStoreError, match="ThrottlingException"):
        setup.ingestion.ingest(dataset(*parts))
    assert set(setup.note()) == {"one"}
    # When the step is repeated, then all is there, and the first part was ingested once
    setup.ingestion.ingest(dataset(*parts))
    assert set(setup.runtime.records) == {"a", "b", "c"}
    assert [put["id"] for put in setup.runtime.puts].count("a") == 1
    assert set(setup.note()) == {"one", "two"}


def test_another_group_is_filled_from_the_whole_dataset(setup: Setup, world: World) -> None:
    parts = dataset(setup.part("one", [("a", 1)]), setup.part("two", [("b", 1)]))
    setup.ingestion.ingest(parts)
    other = Setup(world, group_of(features=["seats"]))
    other.ingestion.ingest(parts)
    assert set(other.runtime.records) == {"a", "b"}
    assert set(other.runtime.records["a"]) == {"id", "at", "seats"}


def test_a_group_that_was_created_again_is_filled_again(setup: Setup) -> None:
    part = setup.part("one", [("a", 1)])
    setup.ingestion.ingest(dataset(part))
    recreated = replace(setup.ingestion, created="2026-03-05")
    for _ in range(2):
        recreated.ingest(dataset(part))
    assert len(setup.runtime.puts) == 2


def test_without_event_time_the_order_of_uploads_counts(world: World) -> None:
    # Given an upload that was put between two others, and is ingested last
    setup = Setup(world, group_of(contract_of(KEY, TARGET, *FEATURES)))
    days = [f"2026-03-0{day}T00:00:00Z 0 raw/x" for day in (1, 2, 3)]
    names = ("one", "two", "three")
    parts = [
        setup.part(name, [("other", 0)] * number + [("a", 0)], day)
        for number, (name, day) in enumerate(zip(names, days, strict=True))
    ]
    setup.ingestion.ingest(dataset(parts[0], parts[2]))
    setup.ingestion.ingest(dataset(*parts))
    assert setup.runtime.records["a"]["seats"] == "2"
    assert setup.runtime.records["a"]["uploaded_at"] == "2026-03-03T00:00:00.000Z"


def test_captured_rows_are_not_ingested(setup: Setup) -> None:
    captured = setup.part("one", [("a", 9)], upload="labelled/flight-delay/abc.parquet")
    setup.ingestion.ingest(dataset(captured, setup.part("two", [("a", 1)])))
    assert [put["at"] for put in setup.runtime.puts] == ["2026-03-04T00:01:00.000Z"]


# The run's step


def test_a_run_ingests_its_dataset(world: World) -> None:
    # Given a model with a store, and a run with an upload
    model = world.root / "model" / "model.yaml"
    model.write_text(f"{model.read_text()}\nfeature_store: {{features: [dep_delay]}}\n")
    function = world.load("validate")
    runtime = FakeRuntime("flight_id", "departs_at")
    ingestion = function.validation.features
    assert ingestion is not None
    ingestion = replace(ingestion, feature_store=FeatureStore(ingestion.group.name, runtime))
    validation = replace(function.validation, features=ingestion)
    january = flights([1]).head(50)
    run = world.take("jan.csv", january.write_csv().encode())
    # When the step fails at the store, and is repeated
    runtime.failing = [refusal("AccessForbidden")]
    with pytest.raises(FeatureStoreError):
        validation.run(run, "2026-03-04T05:06:07.890+00:00")
    result = validation.run(run, "2026-03-04T05:06:07.890+00:00")
    # Then the store has the last flight of each key, and the run continues
    assert result["outcome"] == "train"
    assert set(runtime.records) == set(january["flight_id"])
    delays = dict(january.select("flight_id", "dep_delay").iter_rows())
    assert {name: float(row["dep_delay"]) for name, row in runtime.records.items()} == delays
