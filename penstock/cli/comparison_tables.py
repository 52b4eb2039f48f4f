"""Tables of what lies beside each other: a column for each run or version, the best number marked."""

from collections.abc import Sequence
from typing import Any

from penstock.cli.output import Word
from penstock.ledger.ledger import Record

BEST = "green"


def metric_rows(metrics: Sequence[Record]) -> list[tuple[Word, ...]]:
    """Rows of `side_by_side.metrics`, with the difference where there is one."""
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
    """Rows of `side_by_side.parameters`."""
    return [(item["parameter"], *(_shown(value) for value in item["values"])) for item in parameters]


def _shown(value: Any) -> str:
    return "–" if value is None else str(value)
