"""Live quality in each slice that `evaluation.slices` names, cut as the evaluation cuts the holdout.

Numeric columns are cut at the quartiles of the labelled rows, which differ from the holdout's.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from penstock.contract.model import Contract
from penstock.evaluation.slice_rules import parts
from penstock.ledger.ledger import Record
from penstock.monitoring import live_quality
from penstock.spec.model import ModelSpec, Task


class LiveSlice(TypedDict):
    """Labelled rows that have one value, or lie between two quartiles; JSON."""

    column: str
    value: str
    rows: int
    quality: float
    """Accuracy, or a regression's root mean squared error."""


def measure(spec: ModelSpec, contract: Contract, rows: Sequence[Record], truth: Sequence[Any]) -> list[LiveSlice]:
    """Return the slices with at least `evaluation.min_rows` labelled rows, the worst first.

    Args:
        spec: of the model.
        contract: of the model; a personal column is never captured as it is, so it gives no slices.
        rows: as the predict function captured them, predicted for this task.
        truth: as many; the target's values.
    """
    captured = {column.name for column in contract.features if not column.personal}
    columns = {name: [row["instance"].get(name) for row in rows] for name in spec.evaluation.slices if name in captured}
    slices = [item for name, values in columns.items() for item in _slices(spec, name, values, rows, truth)]
    return sorted(slices, key=lambda item: item["quality"], reverse=spec.task == "regression")


def remark(task: Task, slices: Sequence[LiveSlice]) -> str:
    """Return the worst slice, for the sentence."""
    if not slices:
        return ""
    worst = slices[0]
    number = f"{_metric_name(task)} {worst['quality']:.3f} in {worst['rows']} rows"
    return f", worst slice {worst['column']} {worst['value']}: {number}"


def _slices(
    spec: ModelSpec, column: str, values: Sequence[Any], rows: Sequence[Record], truth: Sequence[Any]
) -> list[LiveSlice]:
    slices = []
    for value, mask in parts([_as_trained(item) for item in values], spec.evaluation.min_rows):
        if mask.sum() >= spec.evaluation.min_rows:
            pairs = [(row, real) for row, real, is_inside in zip(rows, truth, mask, strict=True) if is_inside]
            number = _quality(spec.task, pairs)
            slices.append(LiveSlice(column=column, value=value, rows=len(pairs), quality=number))
    return slices


def _quality(task: Task, pairs: Sequence[tuple[Record, Any]]) -> float:
    truth = [real for _, real in pairs]
    if task == "regression":
        return live_quality.regression([row["score"] for row, _ in pairs], truth)["rmse"]
    return live_quality.binary([row["label"] for row, _ in pairs], truth)["accuracy"]


def _metric_name(task: Task) -> str:
    return "rmse" if task == "regression" else "accuracy"


def _as_trained(value: Any) -> Any:
    """Return numbers and booleans as training has them, so that a slice has the same name as in the evaluation."""
    return float(value) if isinstance(value, int) else value
