"""What rows are held against: usual values, and nobody's row."""

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock.api.explain import Background
from penstock.contract.model import Column, Contract
from penstock.scoring.model import Model
from penstock.spec.explain import Explaining
from tests.support import tiny
from tests.unit.predict.test_api import overflowing
from training.steps.data.container import StepError
from training.steps.data.rows import Rows
from training.steps.measure import background

TARGET = Column("won", "boolean", "target", required=True)
COLUMNS = (
    Column("amount", "number", "feature", required=True),
    Column("count", "integer", "feature"),
    Column("member", "boolean", "feature"),
    Column("city", "string", "feature", required=True),
    Column("colour", "string", "feature"),
    Column("income", "number", "feature", personal=True),
    Column("name", "string", "feature", required=True, personal=True, min_length=3),
    Column("id", "string", "feature", required=True),
    Column("step", "number", "feature", allowed=(0.5, 2)),
)
TABLE = pl.DataFrame(
    {
        "amount": np.arange(320, dtype=np.float32),
        "count": [None, *np.arange(1, 4).tolist()] * 80,
        "member": [1.0, 0.0, 0.0, 0.0] * 80,
        "city": ["JFK"] * 200 + ["LGA"] * 100 + ["rare"] * 9 + [f"r{index}" for index in range(11)],
        "colour": ["red", ""] * 160,
        "income": np.arange(320, dtype=np.float32) * 1_000,
        "name": [f"person {index}" for index in range(320)],
        "id": [f"id {index}" for index in range(320)],
        "step": [0.5, 0.5, 2.0, None] * 80,
        "won": [True] * 320,
    },
    schema_overrides={"count": pl.Float32, "member": pl.Float32, "step": pl.Float32},
)


def rows(table: pl.DataFrame = TABLE) -> Rows:
    return Rows(table, Contract("c", "1", (*COLUMNS, TARGET), 0.0, "digest"))


def made(table: pl.DataFrame = TABLE) -> Background:
    return msgspec.json.decode(background.entry(rows(table), Explaining()), type=Background)


def test_nothing_is_made_where_nobody_asks() -> None:
    assert background.entry(rows(), None) == ""


def test_numbers_are_means_of_shares_of_the_column() -> None:
    # Given 320 amounts, of which a background value stands for twenty
    found = made()
    assert found.rows == 16
    amounts = found.columns["amount"]
    # Then their mean is the column's own, and none is a row's value
    assert np.mean(amounts) == 159.5  # type: ignore[arg-type]
    assert sorted(amounts) == [9.5 + 20 * index for index in range(16)]  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count", {None: 4, 1: 4, 2: 4, 3: 4}),
        ("member", {True: 4, False: 12}),
        ("city", {"JFK": 11, "LGA": 5}),
        ("colour", {"red": 8, None: 8}),
        ("step", {0.5: 8, 2.0: 4, None: 4}),
    ],
)
def test_each_value_has_the_share_that_it_has_of_the_rows(name: str, expected: dict[Any, int]) -> None:
    # Given missing values, categories, and such that fewer than ten rows have
    values = made().columns[name]
    # Then usual ones have their places, in their types, and rare ones none
    assert Counter(values) == expected
    assert {type(value) for value in values} == {type(value) for value in expected}


def test_nobody_is_in_it() -> None:
    # Given personal columns, and one that names each row
    found = made()
    # Then an optional personal value is missing, and a required one, or one without usual values, is neutral
    assert set(found.columns["income"]) == {None}
    assert set(found.columns["name"]) == {"xxx"}
    assert set(found.columns["id"]) == {"x"}
    # And what stands side by side is drawn, not taken from a row
    assert found.columns["amount"] != sorted(found.columns["amount"])  # type: ignore[type-var]
    assert background.entry(rows(), Explaining()) == background.entry(rows(), Explaining())


@pytest.mark.parametrize(("count", "expected"), [(5, 1), (19, 1), (50, 5), (161, 16)])
def test_a_background_value_stands_for_ten_rows_at_least(count: int, expected: int) -> None:
    assert made(TABLE.head(count)).rows == expected


@pytest.mark.parametrize(("present", "expected"), [(9, 0), (19, 1), (20, 2)])
def test_values_that_few_rows_have_are_missing(present: int, expected: int) -> None:
    # Given 100 rows, so ten background rows, and a column that few of them have
    few = pl.Series("count", [*range(present), *[None] * (100 - present)], pl.Float32)
    values = made(TABLE.head(100).with_columns(few)).columns["count"]
    # Then none of its values stands for fewer than ten
    assert len(values) - values.count(None) == expected


def test_of_fewer_rows_than_one_value_stands_for_nothing_is_told() -> None:
    assert made(TABLE.head(9)).columns == {
        "amount": [0.0], "count": [None], "member": [None], "city": ["x"], "colour": [None],
        "income": [None], "name": ["xxx"], "id": ["x"], "step": [None],
    }  # fmt: skip


def test_a_column_without_any_value_is_missing() -> None:
    empty = TABLE.with_columns(pl.lit(None, pl.Float32).alias("count"), colour=pl.lit(""))
    assert set(made(empty).columns["count"]) == set(made(empty).columns["colour"]) == {None}


@pytest.mark.parametrize(
    ("shares", "places", "expected"),
    [([1, 1], 3, [2, 1]), ([9, 1], 2, [2, 0]), ([0, 5], 4, [0, 4]), ([2, 3, 5], 10, [2, 3, 5])],
)
def test_places_go_by_largest_remainder(shares: list[int], places: int, expected: list[int]) -> None:
    assert background.apportioned(shares, places) == expected


def test_a_file_that_cannot_be_explained_fails_the_run() -> None:
    # Given a model that has no finite score of usual values
    entry = msgspec.json.encode(Background({"amount": [1e30]}, 3, 256)).decode()
    columns = (Column("amount", "number", "feature", required=True), TARGET)
    few = Rows(TABLE.select("amount", "won").head(2), Contract("c", "1", columns, 0.0, "digest"))
    with pytest.raises(StepError, match="let `fit` take every value"):
        background.try_out(Model(overflowing(entry)), few)
    # And one that can be explained passes
    one = Rows(tiny.table(1), Contract("tiny", "1", (*tiny.COLUMNS, TARGET), 0.0, "digest"))
    background.try_out(Model(tiny.build(explains=tiny.explains())), one)
