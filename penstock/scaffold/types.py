"""Infer the contract type of each column of a sample."""

import re

import polars as pl

from penstock.contract.model import Type

MOSTLY = 0.98
"""Least share of numbers in a numeric column; its other values are bad rows."""
CODED = re.compile(r"(^|_)(zip|zip_?code|post_?code|postal_?code|phone)($|_)")
TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})?$"
DATE = r"^\d{4}-\d{2}-\d{2}$"


def types_of(table: pl.DataFrame) -> dict[str, Type]:
    """Return each column's type, in order; skip columns without a name or with nested values."""
    as_text = all(kind == pl.String for kind in table.dtypes)
    types = {column: type_of(table[column], as_text=as_text) for column in table.columns if column.strip()}
    return {column: kind for column, kind in types.items() if kind}


def type_of(values: pl.Series, *, as_text: bool) -> Type | None:
    """Return the type that the values fit; None if the contract has no such type.

    Args:
        values: a column of the sample.
        as_text: whether the file format has no types, as CSV.
    """
    kind = values.dtype
    if kind in {pl.String, pl.Null} or isinstance(kind, pl.Categorical | pl.Enum):
        non_missing = present(values.cast(pl.String))
        return (
            _type_of_text(non_missing.str.strip_chars(), values.name, as_text=as_text) if len(non_missing) else "string"
        )
    if kind == pl.Boolean:
        return "boolean"
    if kind.is_numeric():
        return "integer" if kind.is_integer() else "number"
    if kind.is_temporal():
        return "timestamp" if isinstance(kind, pl.Datetime) else "date" if kind == pl.Date else None
    return None


def _type_of_text(text: pl.Series, name: str, *, as_text: bool) -> Type:
    for kind, pattern in (("timestamp", TIMESTAMP), ("date", DATE)):
        if text.str.contains(pattern).all():
            return "timestamp" if kind == "timestamp" else "date"
    # Text of a typed format stays text. Digits may be a code, not an amount: 00501 is not 501.
    if not as_text or CODED.search(snake_case(name)) or text.str.contains(r"^[+-]?0\d").any():
        return "string"
    if text.str.to_lowercase().is_in(["true", "false"]).all():
        return "boolean"
    if text.str.contains(r"^[+-]?\d{1,18}$").all():
        return "integer"
    return "number" if as_numbers(text).count() >= MOSTLY * len(text) else "string"


def present(values: pl.Series) -> pl.Series:
    """Return the values that are not missing; blank text counts as missing."""
    non_missing = values.drop_nulls()
    return non_missing.filter(non_missing.str.strip_chars() != "") if non_missing.dtype == pl.String else non_missing


def as_numbers(values: pl.Series) -> pl.Series:
    """Cast the values to numbers; null where one is not a finite number."""
    plain = values.str.strip_chars() if values.dtype == pl.String else values
    numbers = plain.cast(pl.Float64, strict=False)
    finite = numbers.is_finite()
    return numbers.to_frame("n").select(pl.when(pl.lit(finite)).then(pl.col("n"))).to_series()


def longest(values: pl.Series) -> int:
    """Return the length of the longest text, in characters."""
    return max(values.cast(pl.String).str.len_chars().to_list(), default=1)


def snake_case(name: str) -> str:
    """Return a name in snake case, so that `CustomerID` and `customerId` are recognised as `customer_id`."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", separated.lower())
