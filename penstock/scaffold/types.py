"""The contract's type that each column of a sample fits."""

import re

import polars as pl

from penstock.contract.model import Type

MOSTLY = 0.98
"""Share of values that make a column numeric although the others are not numbers."""
CODED = re.compile(r"(^|_)(zip|zip_?code|post_?code|postal_?code|phone)($|_)")
TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})?$"
DATE = r"^\d{4}-\d{2}-\d{2}$"


def types_of(table: pl.DataFrame) -> dict[str, Type]:
    """Each column with its type, in order; columns without a name or of values that are not plain are not there."""
    as_text = all(kind == pl.String for kind in table.dtypes)
    fit = {column: type_of(table[column], as_text=as_text) for column in table.columns if column.strip()}
    return {column: kind for column, kind in fit.items() if kind}


def type_of(values: pl.Series, *, as_text: bool) -> Type | None:
    """The type that the values fit; None where there is none.

    Args:
        values: a column of the sample.
        as_text: whether its file's format (CSV) has no types of its own.
    """
    kind = values.dtype
    if kind in {pl.String, pl.Null} or isinstance(kind, pl.Categorical | pl.Enum):
        kept = present(values.cast(pl.String))
        return _type_of_text(kept.str.strip_chars(), values.name, as_text=as_text) if len(kept) else "string"
    if kind == pl.Boolean:
        return "boolean"
    if kind.is_numeric():
        return "integer" if kind.is_integer() else "number"
    if kind.is_temporal():
        return "timestamp" if isinstance(kind, pl.Datetime) else "date" if kind == pl.Date else None
    return None


def _type_of_text(text: pl.Series, name: str, *, as_text: bool) -> Type:
    for kind, form in (("timestamp", TIMESTAMP), ("date", DATE)):
        if text.str.contains(form).all():
            return "timestamp" if kind == "timestamp" else "date"
    # What a format with types calls text is text. Digits may be a code, not an amount: 00501 is not 501.
    if not as_text or CODED.search(snake(name)) or text.str.contains(r"^[+-]?0\d").any():
        return "string"
    if text.str.to_lowercase().is_in(["true", "false"]).all():
        return "boolean"
    if text.str.contains(r"^[+-]?\d{1,18}$").all():
        return "integer"
    return "number" if as_numbers(text).count() >= MOSTLY * len(text) else "string"


def present(values: pl.Series) -> pl.Series:
    """The values that are not missing; blank text is."""
    kept = values.drop_nulls()
    return kept.filter(kept.str.strip_chars() != "") if kept.dtype == pl.String else kept


def as_numbers(values: pl.Series) -> pl.Series:
    """The values as numbers; null where one is none, or not finite."""
    plain = values.str.strip_chars() if values.dtype == pl.String else values
    numbers = plain.cast(pl.Float64, strict=False)
    finite = numbers.is_finite()
    return numbers.to_frame("n").select(pl.when(pl.lit(finite)).then(pl.col("n"))).to_series()


def longest(values: pl.Series) -> int:
    """Characters of the longest text."""
    return max(values.cast(pl.String).str.len_chars().to_list(), default=1)


def snake(name: str) -> str:
    """`CustomerID` and `customerId` as `customer_id`, so that names are recognised."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower())
