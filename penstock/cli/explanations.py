"""What each field adds to a score, as bars: to the right what raises it, to the left what lowers it."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.cli.output import Word, table

HALF = 16
"""Characters of the longest bar."""
BASE = "mean of usual values"


def print_explanations(instances: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]) -> None:
    """One table a prediction, what weighs most first; its bars are to its own scale."""
    for instance, item in zip(instances, predictions, strict=True):
        about = item["explanation"]
        added = sorted(about["contributions"].items(), key=lambda pair: -abs(pair[1]))
        longest = max((abs(value) for _, value in added), default=0.0)
        first: tuple[Word, ...] = (BASE, "", f" {about['base']:.6f}", "")
        rows = [(name, _shown(instance, name), f"{value:+.6f}", bar(value, longest)) for name, value in added if value]
        table(["field", "value", "adds", ""], [first, *rows], title=f"{item['id']}: {item['score']:.6f}{_label(item)}")


def bar(value: float, longest: float) -> Word:
    """Around a middle line: `HALF` characters either side stand for `longest`."""
    length = round(HALF * abs(value) / longest) if longest else 0
    if value < 0:
        return f"{'█' * length:>{HALF}}│", "blue"
    return f"{'':>{HALF}}│{'█' * length}", "red"


def _shown(instance: Mapping[str, Any], name: str) -> Word:
    """What was asked; the feature store may have filled in what is not there."""
    value = instance.get(name)
    return ("not given", "dim") if value is None else str(value)


def _label(item: Mapping[str, Any]) -> str:
    return f" ({item['label']})" if "label" in item else ""
