"""What each field adds to a score, as bars: to the right what raises it, to the left what lowers it."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.cli.output import Word, table

HALF = 16
"""Characters of the longest bar."""
NOTHING = "no other field adds anything"


def print_explanations(predictions: Sequence[Mapping[str, Any]]) -> None:
    """One table a prediction, what weighs most first; bars are to the scale of that prediction."""
    for item in predictions:
        about = item["explanation"]
        added = sorted(about["contributions"].items(), key=lambda pair: -abs(pair[1]))
        longest = max((abs(value) for _, value in added), default=0.0)
        rows: list[tuple[Word, ...]] = [(name, f"{value:+.6f}", bar(value, longest)) for name, value in added if value]
        title = f"{item['id']}: {item['score']:.6f}{_label(item)} = {about['base']:.6f}, the mean of usual values, and"
        table(["field", "adds", ""], rows or [(NOTHING, "", "")], title=title)


def bar(value: float, longest: float) -> Word:
    """Around a middle line: `HALF` characters either side stand for `longest`."""
    length = round(HALF * abs(value) / longest) if longest else 0
    if value < 0:
        return f"{'█' * length:>{HALF}}│", "blue"
    return f"{'':>{HALF}}│{'█' * length}", "red"


def _label(item: Mapping[str, Any]) -> str:
    return f" ({item['label']})" if "label" in item else ""
