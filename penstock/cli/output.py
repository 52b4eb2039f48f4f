"""Output of the commands: tables and sentences for people, JSON for scripts."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# No markup: the text contains file names, patterns and user input. `line` adds colour.
console = Console(highlight=False, markup=False, emoji=False)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

Word = str | tuple[str, str]
"""Text, or text with its style."""

COLOURS = {
    "registered": "green",
    "live": "green",
    "approved": "green",
    "scored": "green",
    "no drift": "green",
    "skipped": "cyan",
    "open": "blue",
    "counted": "yellow",
    "drift": "yellow",
    "quarantined": "yellow",
    "rejected": "yellow",
    "refused": "red",
    "failed": "red",
    "rolled back": "red",
}


def coloured(word: str) -> Word:
    """Give an outcome or decision of the ledger its colour."""
    return (word, COLOURS[word]) if word in COLOURS else word


def mark(*, good: bool) -> Word:
    """Return a tick or a cross."""
    return ("✓", "green") if good else ("✗", "red")


def line(*words: Word) -> Text:
    """Join words without markup, each in its own style."""
    return Text.assemble(*words)


def as_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    console.print_json(json.dumps(document, default=str)) if console.is_terminal else print(  # noqa: T201 - for pipes
        json.dumps(document, default=str)
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[Word]], *, title: str | None = None) -> None:
    """Print a table, or a sentence where there are no rows."""
    if not rows:
        console.print(line((f"no {title or 'rows'} yet", "dim")))
        return
    grid = Table(*columns, title=title, box=None, title_justify="left", pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*(line(cell) for cell in row))
    console.print(grid)


def ago(moment: str | None) -> str:
    """Say how long ago a timestamp of the ledger was."""
    if not moment:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def took(start: str | None, end: str | None) -> str:
    """Return the time between two timestamps as text; empty if one is missing."""
    return f"{seconds_between(start, end):.1f} s" if start and end else ""


def seconds_between(start: str, end: str) -> float:
    """Return the seconds between two timestamps of the ledger."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
