"""Metrics of each slice of the holdout, and disparities between groups.

Rare values share one slice, so that no slice identifies a few people.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy.typing as npt

from penstock.evaluation.confidence import Scored
from penstock.evaluation.metrics import Metrics, Truth
from penstock.evaluation.multiclass_metrics import measure_rows
from penstock.evaluation.slice_rules import Mask, parts


class Slice(TypedDict):
    """The rows with one value, or between two quartiles (JSON). A slice of too few rows has no metrics."""

    column: str
    value: str
    rows: int
    metrics: dict[str, Metrics]
    """By `challenger`, `baseline` and, if there is one, `champion`; only the metrics defined on these rows."""


class Disparity(TypedDict):
    """Differences between the groups of a column, at the challenger's threshold (JSON).

    As Fairlearn defines them: the largest less the smallest of the groups' selection rates (demographic parity), true
    positive rates (equal opportunity: Hardt, Price & Srebro 2016) and false positive rates, and the smallest selection
    rate over the largest (the four-fifths rule asks for 0.8). None if fewer than two groups have the rate.
    """

    column: str
    groups: list[dict[str, Any]]
    selection_rate_difference: float | None
    selection_rate_ratio: float | None
    tpr_difference: float | None
    fpr_difference: float | None


def slices(
    columns: dict[str, Sequence[Any]], truth: npt.NDArray[Any], models: dict[str, Scored], min_rows: int
) -> list[Slice]:
    """Measure each slice of each column.

    Args:
        columns: the columns' values, each shape (rows,); numbers are cut at their quartiles.
        truth: shape (rows,): whether a row is positive, the index of its class, or the amount.
        models: scores of these rows, by role (`challenger`, …).
        min_rows: least rows of a slice that is measured.
    """
    return [
        Slice(
            column=column,
            value=value,
            rows=int(mask.sum()),
            metrics={role: _metrics(truth[mask], model, mask) for role, model in models.items()}
            if mask.sum() >= min_rows
            else {},
        )
        for column, values in columns.items()
        for value, mask in parts(values, min_rows)
    ]


def _metrics(truth: npt.NDArray[Any], model: Scored, mask: Mask) -> Metrics:
    return measure_rows(truth, model.scores[mask], model.threshold)


def disparity(column: str, values: Sequence[Any], truth: Truth, challenger: Scored, min_rows: int) -> Disparity:
    """Compare the groups of a column that have at least `min_rows` rows."""
    labels = challenger.scores >= float(challenger.threshold or 0)
    groups: list[dict[str, Any]] = [
        {
            "value": value,
            "rows": int(mask.sum()),
            "selection_rate": _rate(labels, mask),
            "tpr": _rate(labels, mask & truth),
            "fpr": _rate(labels, mask & ~truth),
        }
        for value, mask in parts(values, min_rows)
        if mask.sum() >= min_rows
    ]
    selected = [group["selection_rate"] for group in groups]
    return Disparity(
        column=column,
        groups=groups,
        selection_rate_difference=_range(selected),
        selection_rate_ratio=_ratio(selected),
        tpr_difference=_range([group["tpr"] for group in groups]),
        fpr_difference=_range([group["fpr"] for group in groups]),
    )


def _rate(labels: Mask, mask: Mask) -> float | None:
    return float(labels[mask].mean()) if mask.any() else None


def _range(rates: list[float | None]) -> float | None:
    present = [rate for rate in rates if rate is not None]
    return max(present) - min(present) if len(present) > 1 else None


def _ratio(rates: list[float]) -> float | None:
    """Return the smallest rate over the largest; 1 if all are 0, as no group is selected less often."""
    if len(rates) < 2:
        return None
    return min(rates) / max(rates) if max(rates) > 0 else 1.0
