"""Rows of comparison tables: a column for each run or version, the best value of each metric marked."""

from collections.abc import Sequence
from typing import Any

from penstock.cli.output import Word
from penstock.ledger.ledger import Record

BEST = "green"


def metric_rows(metrics: Sequence[Record]) -> list[tuple[Word, ...]]:
    """Return the rows for the metrics of `audit.side_by_side`, with the change where there is one."""
    return [
        (
            item["metric"],
            *(_metric(value, best=place in item["best"]) for place, value in enumerate(item["values"])),
            *([_change(item["change"])] if "change" in item else []),
        )
        for item in metrics
    ]


def _metric(value: float | None, *, best: bool) -> Word:
    if value is None:
        return "–"
    return (f"{value:.4f} *", BEST) if best else f"{value:.4f}"


def _change(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def parameter_rows(parameters: Sequence[Record]) -> list[tuple[Word, ...]]:
    """Return the rows for the parameters of `audit.side_by_side`."""
    return [(item["parameter"], *(_text(value) for value in item["values"])) for item in parameters]


def _text(value: Any) -> str:
    return "–" if value is None else str(value)
