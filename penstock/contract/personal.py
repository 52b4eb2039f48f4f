"""Contracts for rows that lack personal values: captured rows with ground truth, and parts of unknown origin."""

from dataclasses import replace

from penstock.contract.model import Column, Contract

FORGOTTEN = "forgotten"
"""Mark of an object that `penstock forget` rewrote."""


def labelled_rows_contract(contract: Contract) -> Contract:
    """Return the contract for captured rows with their ground truth.

    They hold no personal values, so such a column may be missing, and a personal key may be a hash, which follows none
    of the key's rules. Their number and age are not checked.
    """
    columns = tuple(map(_without_personal_rules, contract.columns))
    return replace(contract, columns=columns, row_count=None, max_age=None)


def part_contract(contract: Contract) -> Contract:
    """Return the contract for a part whose upload no longer exists: the rules for rows, without those for files.

    Its rows may once have been captured, so personal values are not required.
    """
    rows = labelled_rows_contract(contract)
    columns = tuple(replace(column, nulls=None, tolerance=None) for column in rows.columns)
    return replace(rows, columns=columns, tolerance=1.0)


def _without_personal_rules(column: Column) -> Column:
    if not column.personal or column.role == "target":
        return column
    key = column.role == "key"
    bare = Column(column.name, column.type, column.role, personal=True, derived=column.derived)
    return replace(bare, required=key, unique=key)
