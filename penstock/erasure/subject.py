"""The person whose rows are erased: the values that identify them in tables, captures and labels."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from penstock.captures.pseudonyms import Pseudonyms, text
from penstock.contract.model import Contract

ID = "id"
"""Inference id, in captures and labels."""
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class SubjectError(Exception):
    """The values identify nobody; the message says what to give."""


class Subject:
    """Values of one column, and the keys, hashes and inference ids that identify the same rows elsewhere."""

    def __init__(
        self, contract: Contract, values: Sequence[str], column: str | None = None, pseudonyms: Pseudonyms | None = None
    ) -> None:
        """Begin with the values of one column.

        Args:
            contract: of the model.
            values: the subject's values in the column.
            column: its name; None for the row key.
            pseudonyms: where the contract hashes a column.

        Raises:
            SubjectError: no such column, or an empty value.
        """
        self.column = column or contract.key.name
        self.values = [value.strip() for value in values]
        if not all(self.values) or not self.values:
            raise SubjectError("an empty key identifies nobody: give a value of the row key, or of --column")
        if self.column not in (names := [item.name for item in contract.columns]):
            raise SubjectError(f"the contract has no column {self.column!r}; there are {', '.join(names)}")
        self._key, self._pseudonyms = contract.key.name, pseudonyms
        self._numeric = {item.name for item in contract.columns if item.type in {"integer", "number"}}
        self._hashed = {item.name for item in contract.columns if item.hashed}
        self._values: dict[str, set[str]] = {}
        self._ids: set[str] = set()
        self._add(self.column, self.values)

    @property
    def is_given_by_key(self) -> bool:
        """Whether the values are row keys; otherwise the keys are learned from the rows."""
        return self.column == self._key

    def values_of(self, column: str) -> set[str]:
        """Return the subject's values in a column, as far as they have been learned."""
        return set(self._values.get(column, ()))

    def _add(self, column: str, values: Sequence[str]) -> None:
        """Add values of a column, and their hashes."""
        texts = {_number_text(value) if column in self._numeric else value for value in values}
        identifiers = self._values.setdefault(column, set())
        identifiers |= texts
        if self._pseudonyms is not None and column in self._hashed:
            identifiers |= {self._pseudonyms.of(column, value) for value in texts}

    def learn_keys(self, rows: pl.DataFrame) -> None:
        """Add the keys of these rows."""
        self._add(self._key, rows[self._key].drop_nulls().cast(pl.String).to_list())

    def learn_id(self, row: Mapping[str, Any]) -> None:
        """Add the inference id of a captured row, which is also its key where it has none."""
        self._ids.add(str(row[ID]))
        if row["instance"].get(self._key) is None:
            self._add(self._key, [str(row[ID])])

    def matches(self, table: pl.DataFrame) -> pl.Series:
        """Return which rows are the subject's; shape (rows,), Boolean."""
        values = self._values | {ID: self._values.get(ID, set()) | self._ids}
        mask = pl.Series([False] * table.height, dtype=pl.Boolean)
        for name, identifiers in values.items():
            if name in table.columns and identifiers:
                mask = mask | self._is_in(table[name], identifiers).fill_null(value=False)
        return mask

    def _is_in(self, column: pl.Series, identifiers: set[str]) -> pl.Series:
        if column.dtype.is_nested() or column.dtype == pl.Binary:
            return pl.Series([False] * len(column), dtype=pl.Boolean)
        if column.dtype.is_float() or (column.name in self._numeric and column.dtype == pl.String):
            texts = [None if value is None else _number_text(str(value)) for value in column.to_list()]
            return pl.Series([value in identifiers for value in texts], dtype=pl.Boolean)
        return column.cast(pl.String).str.strip_chars().is_in(sorted(identifiers))

    def matches_capture(self, row: Mapping[str, Any]) -> bool:
        """Return whether a captured row is the subject's, or a shadow prediction, which has only its inference id."""
        instance = row.get("instance", {})
        values = {name: instance.get(name) for name in self._values}
        return str(row.get(ID)) in self._ids or any(
            value is not None and text(value).strip() in self._values[name] for name, value in values.items()
        )

    def record(self) -> list[dict[str, str]]:
        """Return the values for the ledger, as salted hashes that are slow to compute, so that none can be guessed."""
        return [_salted_hash(self.column, value) for value in self.values]


def _number_text(value: str) -> str:
    """Return a number as its one text; other text is unchanged."""
    for kind in (int, float):
        try:
            return text(kind(value))
        except (ValueError, OverflowError):
            continue
    return value


def _salted_hash(column: str, value: str) -> dict[str, str]:
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(value.encode(), salt=salt, dklen=32, **SCRYPT)
    return {"column": column, "salt": salt.hex(), "scrypt": digest.hex()}
