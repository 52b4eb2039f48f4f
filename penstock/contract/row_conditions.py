"""A contract's rules over several columns, as expressions over its typed rows."""

import polars as pl

from penstock.contract.casting import TYPES
from penstock.contract.model import Contract, ContractError


def conditions(contract: Contract) -> list[tuple[pl.Expr, str]]:
    """For each rule an expression that is true where a row is bad, and its sentence.

    Raises:
        ContractError: a condition that is no SQL, names a column that there is not, or is no condition.
    """
    rows = pl.DataFrame(schema={column.name: TYPES[column.type] for column in contract.columns})
    found = []
    for rule in contract.rules:
        try:
            bad = pl.sql_expr(rule.bad)
            kind = rows.select(bad.alias("bad")).schema["bad"]
        except pl.exceptions.PolarsError as error:
            first = next(iter(str(error).strip().splitlines()), "")
            raise ContractError(f"quality: the condition {rule.bad!r} cannot be asked of a row: {first}") from None
        if kind != pl.Boolean:
            raise ContractError(f"quality: {rule.bad!r} is neither true nor false of a row")
        found.append((bad, rule.sentence))
    return found
