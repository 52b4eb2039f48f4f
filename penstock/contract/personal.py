"""What personal columns mean for the rows that come back: captured, labelled, learned from again."""

from dataclasses import replace

from penstock.contract.model import Column, Contract

FORGOTTEN = "forgotten"
"""The mark of an object that a forgetting wrote anew."""


def of_labelled(contract: Contract) -> Contract:
    """The contract that captured rows with their ground truth are held to.

    They hold no personal value, so that such a column may be missing, and of a personal key perhaps a hash, which keeps
    none of the key's own rules. How many there are and how old they are is no fault of theirs.
    """
    columns = tuple(map(_of_labelled, contract.columns))
    return replace(contract, columns=columns, row_count=None, max_age=None)


def of_part(contract: Contract) -> Contract:
    """The contract that a part is held to whose upload is gone: row by row, as it is no file that somebody sent.

    Whether its rows were once captured ones is not known any more, so that none is asked for personal values.
    """
    rows = of_labelled(contract)
    columns = tuple(replace(column, nulls=None, tolerance=None) for column in rows.columns)
    return replace(rows, columns=columns, tolerance=1.0)


def _of_labelled(column: Column) -> Column:
    if not column.personal or column.role == "target":
        return column
    key = column.role == "key"
    bare = Column(column.name, column.type, column.role, personal=True, derived=column.derived)
    return replace(bare, required=key, unique=key)
