"""Numbers, shares and whole JSON documents in the form that the templates print."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 4
"""Levels of a document that are shown; deeper ones are left to the JSON file."""
MAX_ROWS = 200
"""Rows of a table, and items of a list."""
MIN_SENTENCE = 40
"""Characters from which a cell is a sentence and needs room."""


def number(value: float) -> str:
    """Format a number for people: four decimals below a thousand, as in the gates' sentences."""
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}"
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.4f}"
    if 1e-5 <= abs(value) < 0.001:
        return f"{value:.6f}"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e9 else f"{value:.3e}"


def brief(value: float) -> str:
    """Format a number without trailing zeros."""
    digits = number(value)
    return digits.rstrip("0").rstrip(".") if "." in digits and "e" not in digits else digits


def percent(share: float | None) -> str:
    """Format a share, 0-1, as per cent."""
    return "–" if share is None else f"{share:.1%}"


def plain(value: Any) -> str:
    """Format any single value: None as a dash, a truth value as yes or no, a number by `number`."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str(value)


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    omitted: int = 0
    """Rows that are not shown."""

    @property
    def kinds(self) -> list[str]:
        """The CSS class of each column: `number` where all cells are, `words` where one is a sentence."""
        return [_kind([row[index] for row in self.rows]) for index in range(len(self.heads))]


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    pairs: Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Listing:
    """Values one after another."""

    items: Sequence[Any]
    omitted: int = 0
    """Items that are not shown."""


def document(value: Any, depth: int = 0) -> Any:
    """Arrange any JSON document for display: records as `Table`, other mappings as `Facts`, lists as `Listing`.

    What is measured is shown, even before this package has a section for it.
    """
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, str):
        records = [item for item in value if isinstance(item, Mapping)]
        if records and len(records) == len(value):
            names = _field_names(records)
            rows = [[_cell(item.get(name), depth + 1) for name in names] for item in records[:MAX_ROWS]]
            return Table([words(name) for name in names], rows, _omitted(value))
        return Listing([document(item, depth + 1) for item in value[:MAX_ROWS]], _omitted(value))
    return value


def _mapping(value: Mapping[str, Any], depth: int) -> Table | Facts:
    records = [item for item in value.values() if isinstance(item, Mapping)]
    if records and len(records) == len(value) and all(_is_flat(item) for item in records):
        names = _field_names(records)
        rows = [[name, *(item.get(field) for field in names)] for name, item in list(value.items())[:MAX_ROWS]]
        return Table(["", *map(words, names)], rows, _omitted(value))
    return Facts([(words(name), document(item, depth + 1)) for name, item in value.items() if item is not None])


def words(name: str) -> str:
    """Return a JSON key as words."""
    return str(name).replace("_", " ")


def _cell(value: Any, depth: int) -> Any:
    return document(value, depth) if isinstance(value, Mapping | list) else value


def _is_flat(record: Mapping[str, Any]) -> bool:
    return not any(isinstance(item, Mapping | list) for item in record.values())


def _field_names(records: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _omitted(value: Sequence[Any] | Mapping[str, Any]) -> int:
    return max(0, len(value) - MAX_ROWS)


def _kind(cells: Sequence[Any]) -> str:
    values = [cell for cell in cells if cell is not None]
    if values and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in values):
        return "number"
    return "words" if any(isinstance(cell, str) and len(cell) > MIN_SENTENCE for cell in values) else ""
