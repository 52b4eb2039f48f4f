"""The rules of one column, vectorised in Polars: boolean expressions that are true for a bad row, each with a sentence.

Nearly all rows of nearly all files are good. So each column is first asked one question, cheap and true where any of
its rules could be broken; only where it is, rule after rule is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from penstock.contract.casting import TYPES, WORDS
from penstock.contract.model import Column

SHOWN = 20
"""Allowed values that a sentence names."""
VISIBLE = "!"
"""What sorts before it is empty, or starts with a blank or a control character; one comparison tells it of a cell."""


@dataclass(frozen=True)
class Rule:
    """What a row may break."""

    bad: pl.Expr
    """Over the typed rows: true where one is bad."""
    sentence: str
    column: str = ""


@dataclass(frozen=True)
class Suspects:
    """What of a batch needs a closer look."""

    text: frozenset[str]
    """Columns of text that may hold blanks, or texts that stand for a JSON array or object."""
    settled: frozenset[str]
    """Columns that break none of their rules, but for missing values."""


def suspects(rows: pl.DataFrame, columns: Sequence[Column]) -> Suspects:
    """Ask each column's first question.

    Args:
        rows: a batch as it came.
        columns: the contract's.
    """
    asked = [
        (column, *_question(rows.schema[column.name], column)) for column in columns if column.name in rows.columns
    ]
    fired = rows.select(question.any().alias(column.name) for column, question, _ in asked)
    said = dict(zip(fired.columns, fired.row(0), strict=True)) if asked else {}
    text = {name for name, is_so in said.items() if is_so and rows.schema[name] == pl.String}
    settled = {column.name for column, _, whole in asked if whole and not said[column.name]}
    return Suspects(frozenset(text), frozenset(settled))


def rules(raw: pl.DataFrame, column: Column, look: Suspects) -> Iterator[Rule]:
    """The rules that a column of a batch may have broken.

    Args:
        raw: the rows as they came, blanks as null.
        column: of the contract.
        look: what `suspects` said of the batch.
    """
    given = raw[column.name]
    if column.required and given.null_count():
        yield Rule(pl.lit(given.is_null()), f"{column.name}: missing", column.name)
    if column.name not in look.settled:
        for bad, sentence in _rules(given, column, nested=column.name in look.text):
            yield Rule(bad, f"{column.name}: {sentence}", column.name)


def broken_rules(typed: pl.DataFrame, asked: Sequence[Rule]) -> list[tuple[Rule, pl.Series]]:
    """The rules that some row broke, with which rows (Boolean) did."""
    fired = typed.select(rule.bad.any().alias(str(i)) for i, rule in enumerate(asked)).row(0) if asked else ()
    broken = [rule for rule, is_so in zip(asked, fired, strict=True) if is_so]
    return [(rule, typed.select(rule.bad.fill_null(value=False)).to_series()) for rule in broken]


def _question(kind: pl.DataType, column: Column) -> tuple[pl.Expr, bool]:
    """Over rows as they came: true where a value needs a look; and whether nothing needs one where it is not."""
    value, is_typed = pl.col(column.name), kind == TYPES[column.type]
    if kind == pl.String:
        formed = any(bound is not None for bound in (column.min_length, column.max_length, column.pattern))
        if is_typed and column.allowed and not formed and min(map(str, column.allowed)) >= VISIBLE:
            return ~value.is_in(_allowed(column)), True
        return value < VISIBLE, is_typed and not formed and not column.allowed
    if not is_typed or kind.is_temporal():
        return pl.lit(value=False), False
    if column.minimum is not None and column.maximum is not None and not column.allowed:
        return ~value.is_between(column.minimum, column.maximum), True  # NaN is not between
    own = [bad for bad, _ in _rules(pl.Series(dtype=kind), column, nested=False)]
    return pl.any_horizontal(own) if own else pl.lit(value=False), True


def _listed(values: Sequence[object]) -> str:
    """For a sentence, which goes to many places, not all of them large."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(map(str, values[:SHOWN])) + more


def _allowed(column: Column) -> pl.Series:
    return pl.Series(column.allowed).cast(TYPES[column.type]).implode()


def _rules(given: pl.Series, column: Column, *, nested: bool) -> Iterator[tuple[pl.Expr, str]]:
    value = pl.col(column.name)
    if given.dtype != TYPES[column.type] or nested or given.dtype.is_temporal():
        yield value.is_null() & pl.lit(given.is_not_null()), f"not {WORDS[column.type]}"
    if column.type == "number":
        yield ~value.is_finite(), "not a finite number"
    if column.minimum is not None:
        yield value < column.minimum, f"below {column.minimum}"
    if column.maximum is not None:
        yield value > column.maximum, f"above {column.maximum}"
    if column.min_length is not None:
        yield value.str.len_chars() < column.min_length, f"shorter than {column.min_length} characters"
    if column.max_length is not None:
        yield value.str.len_chars() > column.max_length, f"longer than {column.max_length} characters"
    if column.pattern is not None:
        yield ~value.str.contains(f"^(?:{column.pattern})$"), f"not of the form {column.pattern}"
    if column.allowed:
        yield ~value.is_in(_allowed(column)), f"not one of {_listed(column.allowed)}"
