"""What the command prints: tables and sentences for people, JSON for scripts."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# No markup: what is printed is full of file names, patterns and other people's words. Colour comes by `line`.
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
    """A word of the ledger in its colour."""
    return (word, COLOURS[word]) if word in COLOURS else word


def mark(*, good: bool) -> Word:
    """A tick or a cross."""
    return ("✓", "green") if good else ("✗", "red")


def line(*words: Word) -> Text:
    """Words put together as they are, each in its style."""
    return Text.assemble(*words)


def as_json(document: Any) -> None:
    """One JSON document on standard output."""
    console.print_json(json.dumps(document, default=str)) if console.is_terminal else print(  # noqa: T201 - for pipes
        json.dumps(document, default=str)
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[Word]], *, title: str | None = None) -> None:
    """A table; says so where there are no rows."""
    if not rows:
        console.print(line((f"no {title or 'rows'} yet", "dim")))
        return
    made = Table(*columns, title=title, box=None, title_justify="left", pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*(line(cell) for cell in row))
    console.print(made)


def ago(moment: str | None) -> str:
    """How long ago a ledger's timestamp was."""
    if not moment:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def took(start: str | None, end: str | None) -> str:
    """Seconds between two timestamps."""
    return f"{seconds_between(start, end):.1f} s" if start and end else ""


def seconds_between(start: str, end: str) -> float:
    """Seconds from one timestamp of the ledger to another."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
