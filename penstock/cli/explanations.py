"""Tables of explained predictions: a bar for each field, to the right if it raises the score, to the left if not."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.cli.output import Word, table

HALF = 16
"""Length of the longest bar, in characters."""
BASE = "mean of usual values"


def print_explanations(instances: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]) -> None:
    """Print one table for each prediction, the largest contribution first; each table has its own scale."""
    for instance, item in zip(instances, predictions, strict=True):
        explanation = item["explanation"]
        contributions = sorted(explanation["contributions"].items(), key=lambda pair: -abs(pair[1]))
        longest = max((abs(value) for _, value in contributions), default=0.0)
        first: tuple[Word, ...] = (BASE, "", f" {explanation['base']:.6f}", "")
        rows = [
            (name, _field_value(instance, name), f"{value:+.6f}", bar(value, longest))
            for name, value in contributions
            if value
        ]
        table(["field", "value", "adds", ""], [first, *rows], title=f"{item['id']}: {item['score']:.6f}{_label(item)}")


def bar(value: float, longest: float) -> Word:
    """Draw a bar from a middle line; `HALF` characters stand for `longest`."""
    length = round(HALF * abs(value) / longest) if longest else 0
    if value < 0:
        return f"{'█' * length:>{HALF}}│", "blue"
    return f"{'':>{HALF}}│{'█' * length}", "red"


def _field_value(instance: Mapping[str, Any], name: str) -> Word:
    """Show the value in the request; the feature store may have filled in one that is missing."""
    value = instance.get(name)
    return ("not given", "dim") if value is None else str(value)


def _label(item: Mapping[str, Any]) -> str:
    return f" ({item['label']})" if "label" in item else ""
