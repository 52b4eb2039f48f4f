"""Reads the standard's quality rules; a rule that cannot be checked here is refused with a sentence.

Supported library metrics: `invalidValues` (the allowed values), `nullValues`, `duplicateValues`, `rowCount`. Supported
SQL: a count of the rows that break a rule, which must be 0; its condition then identifies the bad rows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from open_data_contract_standard.model import DataQuality, SchemaProperty

from penstock.contract.model import Bounds, ContractError, RowRule, Unit

OPERATORS = {
    "mustBeGreaterOrEqualTo": "least",
    "mustBeLessOrEqualTo": "most",
    "mustBeGreaterThan": "above",
    "mustBeLessThan": "below",
}
UNITS = {None: "rows", "rows": "rows", "percent": "percent", "%": "percent"}
COUNT = re.compile(
    r"\s*select\s+count\s*\(\s*\*\s*\)\s+from\s+(?P<table>\S+)\s+where\s+(?P<bad>.+?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
SQL_MEND = "write SELECT COUNT(*) FROM … WHERE <what is wrong with a row>, and mustBe: 0"
COLUMN_MEND = (
    "a column's rules are {metric: invalidValues, arguments: {validValues: […]}, mustBe: 0}, "
    "{metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent}, {metric: duplicateValues, mustBe: 0} "
    "and {type: sql, query: 'SELECT COUNT(*) FROM … WHERE …', mustBe: 0}"
)
OBJECT_MEND = (
    "the rules of all rows are {metric: rowCount, mustBeBetween: [1, 1000000]}, "
    "{metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0} "
    "and {type: sql, query: 'SELECT COUNT(*) FROM … WHERE …', mustBe: 0}"
)


@dataclass(frozen=True)
class ColumnQuality:
    """The rules of one column."""

    allowed: tuple[str | int | float, ...] = ()
    nulls: Bounds | None = None
    nulls_in: Unit = "rows"
    unique: bool = False
    rules: tuple[RowRule, ...] = ()


@dataclass(frozen=True)
class ObjectQuality:
    """The rules of all rows."""

    rules: tuple[RowRule, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    row_count: Bounds | None = None


def column_quality(item: SchemaProperty) -> ColumnQuality:
    """Read the rules of a column.

    Raises:
        ContractError: a rule cannot be checked.
    """
    fields: dict[str, Any] = {"rules": ()}
    for rule in item.quality or []:
        if rule.type == "text":
            continue
        if rule.type == "sql":
            fields["rules"] += (_row_rule(rule, None, item.name or ""),)
        elif rule.metric == "invalidValues" and rule.mustBe == 0 and (rule.arguments or {}).get("validValues"):
            fields["allowed"] = tuple((rule.arguments or {})["validValues"])
        elif rule.metric == "nullValues":
            fields |= {"nulls": _bounds(rule), "nulls_in": _unit(rule)}
        elif rule.metric == "duplicateValues" and rule.mustBe == 0 and not rule.arguments:
            fields["unique"] = True
        else:
            raise ContractError(f"quality: {_name(rule)} as it stands cannot be checked here; {COLUMN_MEND}")
    return ColumnQuality(**fields)


def object_quality(rules: Sequence[DataQuality], name: str, columns: Sequence[str]) -> ObjectQuality:
    """Read the rules of the schema object of that name.

    Raises:
        ContractError: a rule cannot be checked.
    """
    fields: dict[str, Any] = {"rules": (), "together": ()}
    for rule in rules:
        if rule.type == "text":
            continue
        if rule.type == "sql":
            fields["rules"] += (_row_rule(rule, name, ""),)
        elif rule.metric == "rowCount" and _unit(rule) == "rows":
            fields["row_count"] = _bounds(rule)
        elif rule.metric == "duplicateValues" and rule.mustBe == 0 and (rule.arguments or {}).get("properties"):
            fields["together"] += (_together((rule.arguments or {})["properties"], columns),)
        else:
            raise ContractError(f"schema.quality: {_name(rule)} as it stands cannot be checked here; {OBJECT_MEND}")
    return ObjectQuality(**fields)


def _together(names: Any, columns: Sequence[str]) -> tuple[str, ...]:
    together = tuple(names) if isinstance(names, list) else (names,)
    if unknown := [name for name in together if name not in columns]:
        raise ContractError(f"schema.quality: duplicateValues: there is no column {unknown[0]!r}")
    return together


def _row_rule(rule: DataQuality, table: str | None, column: str) -> RowRule:
    """Read `SELECT COUNT(*) FROM rows WHERE condition`, which must be 0; rows where the condition is true are bad."""
    query = re.sub(r"\$?\{(object|table|model)\}", "rows", rule.query or "")
    query = re.sub(r"\$?\{(property|column|field)\}", f'"{column}"', query)
    match = COUNT.fullmatch(query)
    if match is None or rule.mustBe != 0:
        raise ContractError(f"quality: the query {rule.query!r} cannot be checked on rows; {SQL_MEND}")
    if table and match["table"].strip('"') not in {table, "rows"}:
        raise ContractError(f"quality: the query reads {match['table']!r}, the table of the rows is {table!r}")
    bad = " ".join(match["bad"].split())
    sentence = rule.description or rule.name or f"must not be: {bad}"
    return RowRule(bad, f"{column}: {sentence}" if column else sentence)


def _bounds(rule: DataQuality) -> Bounds:
    numbers: dict[str, float] = {}
    for operator, name in OPERATORS.items():
        if (value := getattr(rule, operator)) is not None:
            numbers[name] = value
    if rule.mustBe is not None:
        numbers |= {"least": rule.mustBe, "most": rule.mustBe}
    if rule.mustBeBetween is not None:
        numbers |= dict(zip(("least", "most"), rule.mustBeBetween, strict=True))
    if rule.mustNotBe is not None or rule.mustNotBeBetween is not None or not numbers:
        raise ContractError(
            f"quality: {_name(rule)} needs one of mustBe, mustBeBetween, {', '.join(OPERATORS)}, with a number"
        )
    if invalid := [
        value for value in numbers.values() if isinstance(value, bool) or not isinstance(value, int | float)
    ]:
        raise ContractError(f"quality: {rule.metric}: {invalid[0]!r} is no number")
    bounds = Bounds(**numbers)
    if bounds.least is not None and bounds.most is not None and bounds.least > bounds.most:
        raise ContractError(f"quality: {rule.metric}: no number is {bounds}")
    return bounds


def _unit(rule: DataQuality) -> Unit:
    if rule.unit not in UNITS:
        raise ContractError(f"quality: {rule.metric}: the unit {rule.unit!r} is neither rows nor percent")
    return cast("Unit", UNITS[rule.unit])


def _name(rule: DataQuality) -> str:
    return repr(rule.metric or rule.name or rule.rule or rule.type or "a rule without a type")
