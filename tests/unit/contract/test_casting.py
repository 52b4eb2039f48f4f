"""Every type of a Parquet column cast to every type of a contract: a value or a reason, never a crash."""

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from penstock.contract.model import Column, Contract, Type
from penstock.contract.row_check import check

RAW = {
    "int8": pl.Series([1, None], dtype=pl.Int8),
    "uint64": pl.Series([1, None], dtype=pl.UInt64),
    "int128": pl.Series([1, None], dtype=pl.Int128),
    "float32": pl.Series([1, None], dtype=pl.Float32),
    "float64": pl.Series([1.5, None]),
    "decimal": pl.Series([Decimal("1.50"), None]),
    "boolean": pl.Series([True, None]),
    "date": pl.Series([dt.date(2020, 1, 1), None]),
    "nanoseconds": pl.Series([dt.datetime.fromisoformat("2020-01-01"), None], dtype=pl.Datetime("ns")),
    "zoned": pl.Series([dt.datetime.fromisoformat("2020-01-01"), None], dtype=pl.Datetime("ms", "Europe/Paris")),
    "time": pl.Series([dt.time(1), None]),
    "duration": pl.Series([dt.timedelta(1), None]),
    "binary": pl.Series([b"x", None]),
    "list": pl.Series([[1], None]),
    "struct": pl.Series([{"a": 1}, None]),
    "categorical": pl.Series(["1", None], dtype=pl.Categorical),
    "enum": pl.Series(["1", None], dtype=pl.Enum(["1"])),
    "null": pl.Series([None, None], dtype=pl.Null),
    "text": pl.Series(["1", None]),
}
KINDS: list[Type] = ["string", "integer", "number", "boolean", "timestamp", "date"]
RULES: dict[str, dict[str, Any]] = {
    "string": {"min_length": 1},
    "integer": {"minimum": 0, "maximum": 9},
    "number": {"minimum": 0, "maximum": 9},
}
GOOD = {
    "string": {"int8", "uint64", "boolean", "categorical", "enum", "text"},
    "integer": {"int8", "uint64", "int128", "float32", "boolean", "categorical", "enum", "text"},
    "number": {
        "int8", "uint64", "int128", "float32", "float64", "decimal", "boolean", "categorical", "enum", "text",
    },
    "boolean": {"int8", "uint64", "int128", "float32", "boolean", "categorical", "enum", "text"},
    "timestamp": {"date", "nanoseconds", "zoned"},
    "date": {"date", "nanoseconds", "zoned"},
}  # fmt: skip
NULL = "null"


def contract(kind: Type, **rules: Any) -> Contract:
    columns = (Column("k", "string", "key"), Column("x", kind, "feature", **rules), Column("t", "integer", "target"))
    return Contract("c", "1", columns, 1.0, "digest")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw", sorted(RAW))
@pytest.mark.parametrize("ruled", [False, True])
def test_a_typed_cell_is_a_value_or_a_reason(raw: str, kind: Type, *, ruled: bool) -> None:
    # Given a column of that type, its second value missing
    table = pl.DataFrame({"k": ["a", "b"], "x": RAW[raw], "t": [1, 1]})
    # When it is checked by a contract of each type
    checked = check(contract(kind, **(RULES.get(kind, {}) if ruled else {})), table)
    # Then the first value is good or bad, and the missing one is good
    assert checked.good["k"].to_list() == (["a", "b"] if raw in GOOD[kind] or raw == NULL else ["b"])
    assert list(checked.reasons) == [] or next(iter(checked.reasons)).startswith("x: not ")


def test_a_decimal_keeps_its_fraction() -> None:
    table = pl.DataFrame({"k": ["a", "b"], "x": [Decimal("2.00"), Decimal("1.50")], "t": [1, 1]})
    assert check(contract("integer"), table).good["x"].to_list() == [2]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("timestamp", "+20130-01-01T08:00:00Z"),
        ("timestamp", "-0044-03-15T08:00:00Z"),
        ("date", "20240-12-31"),
        ("date", "-2020-01-01"),
        ("integer", "9007199254740993.0"),
        ("integer", "\u00a0"),
    ],
)
def test_text_that_is_no_value_of_its_type_is_bad(kind: Type, cell: str) -> None:
    # Whatever the other rows hold
    for others in (["2"], [" "]):
        table = pl.DataFrame({"k": ["a", "b"], "x": [cell, *others], "t": ["1", "1"]})
        assert "a" not in check(contract(kind), table).good["k"].to_list()


def test_a_time_outside_of_the_years_1_to_9999_is_bad() -> None:
    far = pl.Series([2**31 - 1, 0], dtype=pl.Int32).cast(pl.Date)
    assert check(contract("date"), pl.DataFrame({"k": ["a", "b"], "x": far, "t": [1, 1]})).good["k"].to_list() == ["b"]
    late = pl.Series([2**62, 0], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    table = pl.DataFrame({"k": ["a", "b"], "x": late, "t": [1, 1]})
    assert check(contract("timestamp"), table).good["k"].to_list() == ["b"]


def test_a_bad_row_does_not_make_a_good_one_a_repetition() -> None:
    table = pl.DataFrame({"k": ["a", "a", "a"], "x": ["bad", "1", "2"], "t": ["1", "1", "1"]})
    keyed = Column("k", "string", "key", required=True, unique=True)
    columns = contract("integer").columns
    checked = check(Contract("c", "1", (keyed, *columns[1:]), 1.0, "d"), table)
    assert checked.good["x"].to_list() == [1]
    assert checked.reasons == {"x: not a whole number": 1, "k: appears more than once": 1}
