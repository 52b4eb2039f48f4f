"""Plots and tables of a model with three classes or more."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.report.figures import UNIT_SQUARE, Block, Curves, Figure, calibration, confusions, curve
from penstock.report.formatting import Table

CALIBRATION_AXES = ("mean probability of the label", "share of right labels")
RATES = ("false positive rate", "true positive rate")
COLUMNS = {
    "name": "class", "rows": "rows", "precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC",
}  # fmt: skip


def multiclass_blocks(models: Mapping[str, Curves]) -> list[Block]:
    """Return confusion, the ROC curve of each class against the rest, and calibration of the label.

    Args:
        models: by role, in the order in which they are drawn.
    """
    note = "On the dotted line, labels are right as often as their probability promises."
    return [
        Block(confusions=confusions(models)),
        Block(
            figures=_against_rest(models),
            title="ROC curves",
            note="Each class against all others. The dotted line is guessing.",
            small=True,
        ),
        Block(figures=calibration(models, CALIBRATION_AXES, note)),
    ]


def _against_rest(models: Mapping[str, Curves]) -> list[Figure]:
    by_class: dict[str, dict[str, Any]] = {}
    for role, model in models.items():
        for item in model.get("roc_by_class") or []:
            by_class.setdefault(str(item["name"]), {})[role] = {"points": item["points"]}
    return [
        figure
        for name, curves in by_class.items()
        for figure in curve(curves, "points", f"ROC curve: {name}", RATES, "", UNIT_SQUARE)
    ]


def class_table(classes: Sequence[Mapping[str, Any]]) -> Table | None:
    """Return the challenger's metrics by class."""
    if not classes:
        return None
    return Table(list(COLUMNS.values()), [[item.get(name) for name in COLUMNS] for item in classes])
