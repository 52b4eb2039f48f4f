"""The contract applied to a table: which rows are good, and every reason why the others are not.

Vectorised in Polars. A rule is a boolean expression that is true for a bad row, and a sentence; the sentences are only
put together for the rows that broke one.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from penstock.contract import Column, Contract
from penstock.rowkey import RowKeys

ROW, REASONS = "_row", "_reasons"
TRUE, FALSE = ["true", "t", "yes", "1"], ["false", "f", "no", "0"]
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


class TableError(Exception):
    """A file that cannot be read as a table, or that lacks a column: refused as a whole, the message says why."""


@dataclass(frozen=True)
class Checked:
    """A checked table; `good` and `bad` together are all its rows."""

    good: pl.DataFrame
    """Accepted rows, in order, with the contract's columns and types (those with the role `ignore` left out)."""
    bad: pl.DataFrame
    """Refused rows as they came, with `_row` (1-based, without the header) and `_reasons` (list of sentences)."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many rows broke each rule; a row may break several."""
    unknown: tuple[str, ...] = ()
    """Columns that the contract does not know; left out."""

    @property
    def rows(self) -> int:
        return self.good.height + self.bad.height

    @property
    def share(self) -> float:
        """Share of bad rows, 0–1."""
        return self.bad.height / self.rows if self.rows else 0.0


def readable(name: str) -> bool:
    """Whether a file's name says that it is a table that can be read."""
    return name.lower().endswith((".csv", ".jsonl", ".ndjson", ".parquet"))


def read_table(data: bytes, name: str) -> pl.DataFrame:
    """A CSV, JSON Lines or Parquet file as a table; a CSV's cells stay text, the check gives them types.

    Raises:
        TableError: an ending that is none of these, an empty file, or content that is not what the ending says.
    """
    if not data:
        raise TableError("the file is empty")
    kind = name.lower()
    try:
        if kind.endswith(".parquet"):
            return pl.read_parquet(io.BytesIO(data))
        if kind.endswith((".jsonl", ".ndjson")):
            return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        if kind.endswith(".csv"):
            return pl.read_csv(io.BytesIO(data), infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first = str(error).strip().splitlines()
        raise TableError(
            f"the content cannot be read as {name.rpartition('.')[2]}: {first[0] if first else error}"
        ) from None
    raise TableError(f"{name.rpartition('/')[2]!r} is neither .csv, .jsonl nor .parquet")


def check(contract: Contract, table: pl.DataFrame) -> Checked:
    """The table against the contract.

    Args:
        contract: what each row must be.
        table: any number of rows; columns in any order, extra ones are left out.

    Raises:
        TableError: a required column is not there, or there are no rows.
    """
    table = _with_key(contract, table)
    names = [column.name for column in contract.columns]
    needed = [c.name for c in contract.columns if c.required]
    if missing := [name for name in needed if name not in table.columns]:
        raise TableError(
            f"the column {missing[0]!r} is missing" + (f", and {', '.join(missing[1:])}" if missing[1:] else "")
        )
    if not table.height:
        raise TableError("there are no rows")
    known = table.select(name for name in table.columns if name in names)
    raw = known.with_columns(pl.lit(None, pl.String).alias(n) for n in names if n not in table.columns)
    raw = raw.with_columns(_blank_is_null(raw, name) for name in names).with_row_index(ROW, offset=1)
    typed = raw.select(ROW, *(_typed(raw, column) for column in contract.columns))
    rules = [rule for column in contract.columns for rule in _rules(raw, column)]
    broken = typed.select(bad.fill_null(value=False).alias(str(i)) for i, (bad, _) in enumerate(rules))
    is_bad = broken.select(pl.any_horizontal(pl.all())).to_series()
    kept = [column.name for column in contract.columns if column.role != "ignore"]
    return Checked(
        good=typed.filter(~is_bad).select(kept),
        bad=_with_reasons(raw.filter(is_bad), broken.filter(is_bad), [sentence for _, sentence in rules]),
        reasons={rules[int(name)][1]: count for name, count in broken.sum().row(0, named=True).items() if count},
        unknown=tuple(name for name in table.columns if name not in names),
    )


def _with_key(contract: Contract, table: pl.DataFrame) -> pl.DataFrame:
    """The table with the keys that its rows have by their content, where the contract says so and the file has none."""
    if not contract.key.derived or contract.key.name in table.columns:
        return table
    columns = [column for column in contract.columns if column.name in table.columns]
    blanked = table.with_columns(_blank_is_null(table, column.name) for column in columns)
    typed = blanked.select(_typed(blanked, column) for column in columns)
    return table.with_columns(RowKeys().of(typed).alias(contract.key.name))


def _with_reasons(rows: pl.DataFrame, broken: pl.DataFrame, sentences: list[str]) -> pl.DataFrame:
    said = [pl.when(pl.col(str(i))).then(pl.lit(sentence)) for i, sentence in enumerate(sentences)]
    reasons = broken.select(pl.concat_list(said).list.drop_nulls().alias(REASONS))
    return rows.hstack(reasons)


def _blank_is_null(raw: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    if raw.schema[name] == pl.String:
        return pl.when(column.str.strip_chars() == "").then(None).otherwise(column).alias(name)
    return column


def _typed(raw: pl.DataFrame, column: Column) -> pl.Expr:
    """The column in its contract's type; what cannot be it is null."""
    given, wanted, value = raw.schema[column.name], TYPES[column.type], pl.col(column.name)
    if given == pl.String:
        return _parsed(value, column).alias(column.name)
    if given.is_nested() or given in UNFIT or (column.type == "string" and given not in PLAIN):
        return pl.lit(None, wanted).alias(column.name)
    if column.type in {"timestamp", "date"} and not given.is_temporal():
        return pl.lit(None, wanted).alias(column.name)
    if column.type == "boolean" and given.is_numeric():
        value = pl.when(value.is_in([0, 1])).then(value)
    if column.type == "integer" and given.is_float():
        value = _whole(value)
    return value.cast(wanted, strict=False)


UNFIT = (pl.Binary, pl.Object, pl.Duration, pl.Time)
PLAIN = (pl.Categorical, pl.Enum, pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
"""Types that have one natural text."""
ISO = ["%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f"]
"""ISO 8601 with or without zone (without: UTC), `T` or a blank; tried one by one, so that a row is judged by itself."""


def _parsed(value: pl.Expr, column: Column) -> pl.Expr:
    """Text in its contract's type."""
    text = value.str.strip_chars()
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
        whole = _whole(text.cast(pl.Float64, strict=False)).cast(pl.Int64, strict=False)
        return pl.coalesce(text.cast(pl.Int64, strict=False), whole)
    return value if column.type == "string" else text.cast(pl.Float64, strict=False)


def _whole(value: pl.Expr) -> pl.Expr:
    return pl.when(value == value.round()).then(value)


def _rules(raw: pl.DataFrame, column: Column) -> Iterator[tuple[pl.Expr, str]]:
    """Expressions over the typed table that are true where a row is bad, each with its sentence."""
    name, value = column.name, pl.col(column.name)
    present = raw[name].is_not_null()
    if column.required:
        yield pl.lit(~present), f"{name}: missing"
    yield value.is_null() & pl.lit(present), f"{name}: not {WORDS[column.type]}"
    if column.type == "number":
        yield ~value.is_finite(), f"{name}: not a finite number"
    if column.minimum is not None:
        yield value < column.minimum, f"{name}: below {column.minimum}"
    if column.maximum is not None:
        yield value > column.maximum, f"{name}: above {column.maximum}"
    if column.min_length is not None:
        yield value.str.len_chars() < column.min_length, f"{name}: shorter than {column.min_length} characters"
    if column.max_length is not None:
        yield value.str.len_chars() > column.max_length, f"{name}: longer than {column.max_length} characters"
    if column.pattern is not None:
        yield ~value.str.contains(f"^(?:{column.pattern})$"), f"{name}: not of the form {column.pattern}"
    if column.allowed:
        allowed = pl.Series(column.allowed).cast(TYPES[column.type]).implode()
        yield ~value.is_in(allowed), f"{name}: not one of {', '.join(map(str, column.allowed))}"
    if column.unique:
        yield ~value.is_first_distinct() & value.is_not_null(), f"{name}: appears more than once"
