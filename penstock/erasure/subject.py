"""Whose rows: what a subject is known by in tables, captures and labels."""

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
    """Nobody can be found by what was given; the message says what to give."""


class Subject:
    """Values of one column, and what the rows that hold them are known by elsewhere."""

    def __init__(
        self, contract: Contract, values: Sequence[str], column: str | None = None, pseudonyms: Pseudonyms | None = None
    ) -> None:
        """Somebody to look for.

        Args:
            contract: of the model.
            values: what the column holds of them.
            column: which one; None for the row key.
            pseudonyms: where the contract hashes a column.

        Raises:
            SubjectError: no such column, or an empty value.
        """
        self.column = column or contract.key.name
        self.values = [value.strip() for value in values]
        if not all(self.values) or not self.values:
            raise SubjectError("an empty key names nobody: give a value of the row key, or of --column")
        if self.column not in (names := [item.name for item in contract.columns]):
            raise SubjectError(f"the contract has no column {self.column!r}; there are {', '.join(names)}")
        self._key, self._pseudonyms = contract.key.name, pseudonyms
        self._numeric = {item.name for item in contract.columns if item.type in {"integer", "number"}}
        self._hashed = {item.name for item in contract.columns if item.hashed}
        self._known: dict[str, set[str]] = {}
        self._ids: set[str] = set()
        self._add(self.column, self.values)

    @property
    def by_key(self) -> bool:
        """Whether they were named by their row key; otherwise the keys are found out."""
        return self.column == self._key

    def known(self, column: str) -> set[str]:
        """Values of a column that are theirs, as far as is known by now."""
        return set(self._known.get(column, ()))

    def _add(self, column: str, values: Sequence[str]) -> None:
        """Look for more values of a column, and for their hashes."""
        known = self._known.setdefault(column, set())
        plain = {_number(value) if column in self._numeric else value for value in values}
        known |= plain
        if self._pseudonyms is not None and column in self._hashed:
            known |= {self._pseudonyms.of(column, value) for value in plain}

    def learn_keys(self, rows: pl.DataFrame) -> None:
        """Look for these rows by their key from now on."""
        self._add(self._key, rows[self._key].drop_nulls().cast(pl.String).to_list())

    def learn_id(self, row: Mapping[str, Any]) -> None:
        """Look for a captured row by its inference id too, which stands for the key where no key was given."""
        self._ids.add(str(row[ID]))
        if row["instance"].get(self._key) is None:
            self._add(self._key, [str(row[ID])])

    def among(self, table: pl.DataFrame) -> pl.Series:
        """Which rows are theirs; shape (rows,), Boolean."""
        known = self._known | {ID: self._known.get(ID, set()) | self._ids}
        found = [self._held(table[name], values) for name, values in known.items() if name in table.columns and values]
        theirs = pl.Series([False] * table.height, dtype=pl.Boolean)
        for held in found:
            theirs = theirs | held.fill_null(value=False)
        return theirs

    def _held(self, column: pl.Series, known: set[str]) -> pl.Series:
        if column.dtype.is_nested() or column.dtype == pl.Binary:
            return pl.Series([False] * len(column), dtype=pl.Boolean)
        if column.dtype.is_float() or (column.name in self._numeric and column.dtype == pl.String):
            written = [None if value is None else _number(str(value)) for value in column.to_list()]
            return pl.Series([value in known for value in written], dtype=pl.Boolean)
        return column.cast(pl.String).str.strip_chars().is_in(sorted(known))

    def captured(self, row: Mapping[str, Any]) -> bool:
        """Whether a captured row is theirs, or an answer to one, which has its inference id alone."""
        instance = row.get("instance", {})
        given = {name: instance.get(name) for name in self._known}
        return str(row.get(ID)) in self._ids or any(
            value is not None and text(value).strip() in self._known[name] for name, value in given.items()
        )

    def record(self) -> list[dict[str, str]]:
        """For the ledger: each value as a salted hash that is slow to try values against."""
        return [_salted(self.column, value) for value in self.values]


def _number(value: str) -> str:
    """A number's one text; whatever is none stays as it is."""
    for kind in (int, float):
        try:
            return text(kind(value))
        except (ValueError, OverflowError):
            continue
    return value


def _salted(column: str, value: str) -> dict[str, str]:
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(value.encode(), salt=salt, dklen=32, **SCRYPT)
    return {"column": column, "salt": salt.hex(), "scrypt": digest.hex()}
