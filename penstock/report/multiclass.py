"""A report's plots and tables of a model that tells three classes or more apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.report.figures import Curves, calibration, confusion, curve
from penstock.report.html import Html, join, table, tag

SURE = ("mean probability of the label", "share that was right")
RATES = ("false positive rate", "true positive rate")


def classes(models: Mapping[str, Curves]) -> Html:
    """Confusion, ROC curve of each class against the rest, and calibration of the label; nothing where there is none.

    Args:
        models: by role, in the order in which they are drawn.
    """
    tables = [confusion(name, model["confusion"]) for name, model in models.items() if model.get("confusion")]
    sure = calibration(models, SURE, "On the dotted line a label is right as often as its probability says.")
    parts = [tag("div", *tables, css="pair") if tables else "", *_against_rest(models)]
    return join([*parts, tag("div", *sure, css="plots") if sure else ""])


def _against_rest(models: Mapping[str, Curves]) -> list[Html]:
    """A small plot for each class; whatever a model has no curves of is left out."""
    by_class: dict[str, dict[str, Any]] = {}
    for role, model in models.items():
        for item in model.get("roc_by_class") or []:
            by_class.setdefault(str(item["name"]), {})[role] = {"points": item["points"]}
    drawn = [
        one
        for name, found in by_class.items()
        for one in curve(found, "points", f"ROC curve: {name}", RATES, "", ((0, 0), (1, 1)))
    ]
    if not drawn:
        return []
    said = "Each class against all others. The dotted line is guessing."
    return [tag("h3", "ROC curves"), tag("p", said, css="note"), tag("div", *drawn, css="plots small")]


def per_class(found: Sequence[Mapping[str, Any]]) -> Html:
    """What the challenger is worth for each class."""
    if not found:
        return Html("")
    names = ("name", "rows", "precision", "recall", "f1", "roc_auc")
    said = "Of the challenger: how much of a label is right, how much of a class is found, and their harmonic mean."
    heads = ["class", "rows", "precision", "recall", "F1", "ROC AUC against the rest"]
    return join((tag("p", said, css="note"), table(heads, [[item.get(name) for name in names] for item in found])))
