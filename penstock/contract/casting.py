"""Casts raw cells to a contract's types; a value that does not fit its type becomes null."""

from collections.abc import Mapping

import polars as pl

from penstock.contract.model import Column
from penstock.literals import BLANKS, FALSE, TRUE

NESTED = "\x00"
"""Start of the text that stands for a JSON array or object, which is no cell."""
TYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
}
WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "timestamp": "a timestamp (2013-01-31T08:00:00Z)",
    "date": "a date (2013-01-31)",
    "string": "text",
}
UNFIT = (pl.Binary, pl.Object, pl.Duration, pl.Time)
PLAIN = (
    pl.Categorical,
    pl.Enum,
    pl.Boolean,
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.UInt8,
    pl.UInt16,
    pl.UInt32,
    pl.UInt64,
)
"""Types that have one natural representation as text."""
ISO = ["%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f"]
"""ISO 8601 with or without zone (without: UTC), `T` or a blank; the formats are tried in turn for each row."""
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
"""Seconds since 1970 of the years 1 to 9999, the range of dates in Python, in databases and in ISO 8601."""
EXACT = 2.0**53
"""Every whole number up to this is exact as a float."""


def blank_is_null(name: str) -> pl.Expr:
    """Return a text column with null for each cell of blanks only."""
    column = pl.col(name)
    return pl.when(column.str.strip_chars(BLANKS).str.len_bytes() > 0).then(column).alias(name)


def cast_column(raw: Mapping[str, pl.DataType], column: Column, *, nested: bool) -> pl.Expr:
    """Cast a column to its contract's type; a value that does not fit becomes null.

    Args:
        raw: the types of the raw columns.
        column: of the contract.
        nested: whether a text may stand for a JSON array or object.
    """
    kind, target, value = raw[column.name], TYPES[column.type], pl.col(column.name)
    if target.is_temporal():
        return _within_years(_cast(kind, column), column)
    if kind == target and not nested:
        return value
    return _cast(kind, column)


def _cast(kind: pl.DataType, column: Column) -> pl.Expr:
    target, value = TYPES[column.type], pl.col(column.name)
    if isinstance(kind, pl.Categorical | pl.Enum):
        return _parse(value.cast(pl.String), column).alias(column.name)
    if kind == pl.String:
        return _parse(value, column).alias(column.name)
    if kind.is_nested() or kind in UNFIT or (column.type == "string" and kind not in PLAIN):
        return pl.lit(None, target).alias(column.name)
    if column.type in {"timestamp", "date"} and not kind.is_temporal():
        return pl.lit(None, target).alias(column.name)
    if column.type in {"boolean", "integer", "number"} and kind.is_temporal():
        return pl.lit(None, target).alias(column.name)
    if column.type == "boolean" and kind.is_numeric():
        value = pl.when((value == 0) | (value == 1)).then(value != 0)
    if column.type == "integer" and (kind.is_float() or kind.is_decimal()):
        value = _whole_or_null(value)
    return value.cast(target, strict=False)


def _parse(value: pl.Expr, column: Column) -> pl.Expr:
    """Parse text as its contract's type."""
    if column.type == "string":
        return pl.when(~value.str.starts_with(NESTED)).then(value)
    text = value.str.strip_chars(BLANKS)
    if column.type == "boolean":
        word = text.str.to_lowercase()
        return pl.when(word.is_in(TRUE)).then(True).when(word.is_in(FALSE)).then(False)
    if column.type == "timestamp":
        return pl.coalesce(
            text.str.strptime(pl.Datetime("us"), form, strict=False).dt.replace_time_zone("UTC")
            if form in ISO[1::2]
            else text.str.strptime(pl.Datetime("us", "UTC"), form, strict=False)
            for form in ISO
        )
    if column.type == "date":
        return text.str.to_date("%Y-%m-%d", strict=False)
    if column.type == "integer":
        near = text.cast(pl.Float64, strict=False)
        whole = pl.when(near.abs() < EXACT).then(_whole_or_null(near)).cast(pl.Int64, strict=False)
        return pl.coalesce(text.cast(pl.Int64, strict=False), whole)
    return text.cast(pl.Float64, strict=False)


def _within_years(value: pl.Expr, column: Column) -> pl.Expr:
    """Return a time, or null outside of the years 1 to 9999."""
    unit = 1_000_000 if column.type == "timestamp" else 1 / 86_400
    return pl.when(value.to_physical().is_between(EARLIEST * unit, LATEST * unit)).then(value).alias(column.name)


def _whole_or_null(value: pl.Expr) -> pl.Expr:
    return pl.when(value == value.round()).then(value)
