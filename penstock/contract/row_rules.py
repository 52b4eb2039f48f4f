"""A contract's rules, vectorised in Polars: boolean expressions that are true for a bad row, each with a sentence.

Nearly all rows of nearly all files are good. So one cheap question is asked of each column first, which is true where
any of its rules could be broken; only there the rules are evaluated one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from penstock.contract.casting import TYPES, WORDS
from penstock.contract.model import Column, Contract, ContractError

LISTED_VALUES = 20
"""Allowed values that a sentence names."""
VISIBLE = "!"
"""What sorts before it is empty, or starts with a blank or a control character; one comparison detects both."""


@dataclass(frozen=True)
class Rule:
    """A rule that a row may break."""

    bad: pl.Expr
    """Over the typed rows: true where one is bad."""
    sentence: str
    column: str = ""


@dataclass(frozen=True)
class Suspects:
    """Columns of a batch that need a closer look, and those that need none."""

    text: frozenset[str]
    """Text columns that may hold blanks, or texts that stand for a JSON array or object."""
    settled: frozenset[str]
    """Columns that break none of their rules, except perhaps by missing values."""


def suspects(rows: pl.DataFrame, columns: Sequence[Column]) -> Suspects:
    """Evaluate each column's cheap first question.

    Args:
        rows: a batch, not cast yet.
        columns: the contract's.
    """
    present = [column for column in columns if column.name in rows.columns]
    questions = [(column, *_first_question(rows.schema[column.name], column)) for column in present]
    answers = rows.select(question.any().alias(column.name) for column, question, _ in questions)
    is_suspect = dict(zip(answers.columns, answers.row(0), strict=True)) if questions else {}
    text = {name for name, suspect in is_suspect.items() if suspect and rows.schema[name] == pl.String}
    settled = {column.name for column, _, decides in questions if decides and not is_suspect[column.name]}
    return Suspects(frozenset(text), frozenset(settled))


def column_rules(raw: pl.DataFrame, column: Column, look: Suspects) -> Iterator[Rule]:
    """Yield the rules that a column of a batch may have broken.

    Args:
        raw: the rows, not cast yet, blanks as null.
        column: of the contract.
        look: result of `suspects` for the batch.
    """
    values = raw[column.name]
    if column.required and values.null_count():
        yield Rule(pl.lit(values.is_null()), f"{column.name}: missing", column.name)
    if column.name not in look.settled:
        for bad, sentence in _rules(values, column, nested=column.name in look.text):
            yield Rule(bad, f"{column.name}: {sentence}", column.name)


def conditions(contract: Contract) -> list[Rule]:
    """Return the contract's rules over several columns.

    Raises:
        ContractError: a condition is no SQL, names an unknown column, or is neither true nor false.
    """
    rows = pl.DataFrame(schema={column.name: TYPES[column.type] for column in contract.columns})
    rules = []
    for rule in contract.rules:
        try:
            bad = pl.sql_expr(rule.bad)
            kind = rows.select(bad.alias("bad")).schema["bad"]
        except pl.exceptions.PolarsError as error:
            first = next(iter(str(error).strip().splitlines()), "")
            raise ContractError(f"quality: the condition {rule.bad!r} cannot be evaluated for a row: {first}") from None
        if kind != pl.Boolean:
            raise ContractError(f"quality: {rule.bad!r} is neither true nor false for a row")
        rules.append(Rule(bad, rule.sentence))
    return rules


def broken_rules(typed: pl.DataFrame, rules: Sequence[Rule]) -> list[tuple[Rule, pl.Series]]:
    """Return the rules that some row breaks, each with the rows that do (Boolean)."""
    flags = typed.select(rule.bad.any().alias(str(i)) for i, rule in enumerate(rules)).row(0) if rules else ()
    broken = [rule for rule, is_broken in zip(rules, flags, strict=True) if is_broken]
    return [(rule, typed.select(rule.bad.fill_null(value=False)).to_series()) for rule in broken]


def _first_question(kind: pl.DataType, column: Column) -> tuple[pl.Expr, bool]:
    """Return an expression, true where a raw value needs a look, and whether all values are good where it is false."""
    value, is_typed = pl.col(column.name), kind == TYPES[column.type]
    if kind == pl.String:
        has_form = any(bound is not None for bound in (column.min_length, column.max_length, column.pattern))
        if is_typed and column.allowed and not has_form and min(map(str, column.allowed)) >= VISIBLE:
            return ~value.is_in(_allowed(column)), True
        return value < VISIBLE, is_typed and not has_form and not column.allowed
    if not is_typed or kind.is_temporal():
        return pl.lit(value=False), False
    if column.minimum is not None and column.maximum is not None and not column.allowed:
        return ~value.is_between(column.minimum, column.maximum), True  # NaN is not between
    bad = [bad for bad, _ in _rules(pl.Series(dtype=kind), column, nested=False)]
    return pl.any_horizontal(bad) if bad else pl.lit(value=False), True


def _list(values: Sequence[object]) -> str:
    """Return values for a sentence, which goes to many places, not all of them large."""
    more = f" and {len(values) - LISTED_VALUES} more" if len(values) > LISTED_VALUES else ""
    return ", ".join(map(str, values[:LISTED_VALUES])) + more


def _allowed(column: Column) -> pl.Series:
    return pl.Series(column.allowed).cast(TYPES[column.type]).implode()


def _rules(values: pl.Series, column: Column, *, nested: bool) -> Iterator[tuple[pl.Expr, str]]:
    value = pl.col(column.name)
    if values.dtype != TYPES[column.type] or nested or values.dtype.is_temporal():
        yield value.is_null() & pl.lit(values.is_not_null()), f"not {WORDS[column.type]}"
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
        yield ~value.is_in(_allowed(column)), f"not one of {_list(column.allowed)}"
