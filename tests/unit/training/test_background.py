"""The background of explanations: usual values, and no personal data."""

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock.api.explain import Background
from penstock.contract.model import Column, Contract
from penstock.scoring.model import Model
from penstock.spec.operations import Explaining
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


def build(table: pl.DataFrame = TABLE) -> Background:
    return msgspec.json.decode(background.entry(rows(table), Explaining()), type=Background)


def test_entry_is_empty_without_explanations() -> None:
    assert background.entry(rows(), None) == ""


def test_numbers_are_means_of_shares_of_the_column() -> None:
    # Given 320 amounts, twenty for each background value
    result = build()
    assert result.rows == 16
    amounts = result.columns["amount"]
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
def test_values_occur_in_proportion_to_their_rows(name: str, expected: dict[Any, int]) -> None:
    # Given missing values, and categories of which some have fewer than ten rows
    values = build().columns[name]
    # Then frequent values have their places, with their types, and rare ones none
    assert Counter(values) == expected
    assert {type(value) for value in values} == {type(value) for value in expected}


def test_background_has_no_personal_data() -> None:
    # Given personal columns, and one that identifies each row
    result = build()
    # Then an optional personal value is missing, and a required one, or one without usual values, is neutral
    assert set(result.columns["income"]) == {None}
    assert set(result.columns["name"]) == {"xxx"}
    assert set(result.columns["id"]) == {"x"}
    # And the values are combined at random, reproducibly
    assert result.columns["amount"] != sorted(result.columns["amount"])  # type: ignore[type-var]
    assert background.entry(rows(), Explaining()) == background.entry(rows(), Explaining())


@pytest.mark.parametrize(("count", "expected"), [(5, 1), (19, 1), (50, 5), (161, 16)])
def test_background_value_needs_ten_rows(count: int, expected: int) -> None:
    assert build(TABLE.head(count)).rows == expected


@pytest.mark.parametrize(("present", "expected"), [(9, 0), (19, 1), (20, 2)])
def test_column_with_few_values_is_mostly_missing(present: int, expected: int) -> None:
    # Given 100 rows, so ten background rows, and a column that few of them have
    few = pl.Series("count", [*range(present), *[None] * (100 - present)], pl.Float32)
    values = build(TABLE.head(100).with_columns(few)).columns["count"]
    # Then each of its values represents at least ten rows
    assert len(values) - values.count(None) == expected


def test_fewer_rows_than_one_value_needs_give_neutral_values() -> None:
    assert build(TABLE.head(9)).columns == {
        "amount": [0.0], "count": [None], "member": [None], "city": ["x"], "colour": [None],
        "income": [None], "name": ["xxx"], "id": ["x"], "step": [None],
    }  # fmt: skip


def test_empty_column_is_missing() -> None:
    empty = TABLE.with_columns(pl.lit(None, pl.Float32).alias("count"), colour=pl.lit(""))
    assert set(build(empty).columns["count"]) == set(build(empty).columns["colour"]) == {None}


@pytest.mark.parametrize(
    ("shares", "places", "expected"),
    [([1, 1], 3, [2, 1]), ([9, 1], 2, [2, 0]), ([0, 5], 4, [0, 4]), ([2, 3, 5], 10, [2, 3, 5])],
)
def test_places_are_apportioned_by_largest_remainder(shares: list[int], places: int, expected: list[int]) -> None:
    assert background.apportion(shares, places) == expected


def test_model_without_a_finite_score_of_usual_values_fails_the_job() -> None:
    # Given a model that has no finite score of usual values
    entry = msgspec.json.encode(Background({"amount": [1e30]}, 3, 256)).decode()
    columns = (Column("amount", "number", "feature", required=True), TARGET)
    few = Rows(TABLE.select("amount", "won").head(2), Contract("c", "1", columns, 0.0, "digest"))
    with pytest.raises(StepError, match="let `fit` take every value"):
        background.try_out(Model(overflowing(entry)), few)
    # And one that can be explained passes
    one = Rows(tiny.table(1), Contract("tiny", "1", (*tiny.COLUMNS, TARGET), 0.0, "digest"))
    background.try_out(Model(tiny.build(explains=tiny.explains())), one)
