"""Live quality in each slice that `evaluation.slices` names, cut as the evaluation cuts the holdout.

Numbers are cut at the quartiles of what was answered, which are not the holdout's.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from functions.monitor import quality
from penstock.contract.model import Contract
from penstock.evaluation.slice_rules import parts
from penstock.ledger.ledger import Record
from penstock.spec.model import ModelSpec, Task


class LiveSlice(TypedDict):
    """Labelled rows that have one value, or lie between two quartiles; JSON."""

    column: str
    value: str
    rows: int
    quality: float
    """Accuracy, or a regression's root mean squared error."""


def measured(spec: ModelSpec, contract: Contract, rows: Sequence[Record], truth: Sequence[Any]) -> list[LiveSlice]:
    """The slices with at least `evaluation.min_rows` labelled rows, the worst first.

    Args:
        spec: of the model.
        contract: of the model; a column that is personal is in no capture as it is, and cuts nothing.
        rows: as the predict function captured them, answered by this task.
        truth: as many; the target's values.
    """
    shown = {column.name for column in contract.features if not column.personal}
    columns = {name: [row["instance"].get(name) for row in rows] for name in spec.evaluation.slices if name in shown}
    found = [item for name, values in columns.items() for item in _slices(spec, name, values, rows, truth)]
    return sorted(found, key=lambda item: item["quality"], reverse=spec.task == "regression")


def remark(task: Task, slices: Sequence[LiveSlice]) -> str:
    """The worst slice, for the sentence."""
    if not slices:
        return ""
    worst = slices[0]
    number = f"{_name(task)} {worst['quality']:.3f} in {worst['rows']} rows"
    return f", worst slice {worst['column']} {worst['value']}: {number}"


def _slices(
    spec: ModelSpec, column: str, values: Sequence[Any], rows: Sequence[Record], truth: Sequence[Any]
) -> list[LiveSlice]:
    made = []
    for value, mask in parts([_as_trained(item) for item in values], spec.evaluation.min_rows):
        if mask.sum() >= spec.evaluation.min_rows:
            pairs = [(row, real) for row, real, here in zip(rows, truth, mask, strict=True) if here]
            number = _quality(spec.task, pairs)
            made.append(LiveSlice(column=column, value=value, rows=len(pairs), quality=number))
    return made


def _quality(task: Task, pairs: Sequence[tuple[Record, Any]]) -> float:
    truth = [real for _, real in pairs]
    if task == "regression":
        return quality.of_amounts([row["score"] for row, _ in pairs], truth)["rmse"]
    return quality.of_labels([row["label"] for row, _ in pairs], truth)["accuracy"]


def _name(task: Task) -> str:
    return "rmse" if task == "regression" else "accuracy"


def _as_trained(value: Any) -> Any:
    """Numbers and booleans as training has them, so that a slice is called as in the evaluation."""
    return float(value) if isinstance(value, int) else value
