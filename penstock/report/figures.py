"""The figures that reports of several tasks share: curves of challenger and champion, calibration, confusion."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.report.html import Html, join, number, percent, tag, text
from penstock.report.svg import Axis, Plot, swatch

Curves = Mapping[str, Any]
KINDS = {"challenger": "a", "champion": "b"}
MANY = 8
"""Classes from which on a confusion shows counts only."""


def curve(
    models: Mapping[str, Curves],
    key: str,
    title: str,
    labels: tuple[str, str],
    note: str,
    guide: tuple[tuple[float, float], tuple[float, float]] | None,
) -> list[Html]:
    """A line for each model that has points under `key`, both axes from 0 to 1; none where no model has."""
    drawn = {name: model[key] for name, model in models.items() if model.get(key)}
    if not drawn:
        return []
    plot = Plot(title, Axis(labels[0], 0, 1), Axis(labels[1], 0, 1))
    if guide:
        plot.guide(*guide)
    for name, points in reversed(drawn.items()):
        plot.line(points, KINDS[name])
    return [figure(plot, note, list(drawn))]


def calibration(models: Mapping[str, Curves], labels: tuple[str, str], note: str) -> list[Html]:
    """What scores said and what happened, bin by bin; none where it was not measured."""
    drawn = {name: model["calibration"] for name, model in models.items() if model.get("calibration")}
    if not drawn:
        return []
    plot = Plot("Calibration", Axis(labels[0], 0, 1), Axis(labels[1], 0, 1))
    plot.guide((0, 0), (1, 1))
    for name, bins in reversed(drawn.items()):
        plot.line([(item["score"], item["positive"]) for item in bins], KINDS[name], dots=True)
    return [figure(plot, note, list(drawn))]


def confusion(name: str, found: Mapping[str, Any]) -> Html:
    """Counts by actual and predicted class; a cell's shade is its share of the actual class."""
    classes = [str(item) for item in found["classes"]]
    many = len(classes) > MANY
    rows = []
    for actual, counts in zip(classes, found["rows"], strict=True):
        total = sum(counts) or 1
        cells = "".join(_shaded(count, count / total, many=many) for count in counts)
        rows.append(f'<tr><th scope="row">{text(f"really {actual}")}</th>{cells}</tr>')
    heads = "".join(f'<th scope="col">{text(f"said {label}")}</th>' for label in classes)
    threshold = found.get("threshold")
    title = f"Confusion: {name}" + ("" if threshold is None else f", {classes[-1]} from {number(threshold)}")
    inside = f'<table class="confusion{" many" if many else ""}"><tr><td></td>{heads}</tr>{"".join(rows)}</table>'
    grid = f'<div class="wide" tabindex="0">{inside}</div>'
    return tag("div", tag("h3", title), Html(grid))


def _shaded(count: int, share: float, *, many: bool) -> str:
    more = "" if many else f"<br><small>{percent(share)}</small>"
    return f'<td style="--part:{share * 0.6:.3f}">{number(count)}{more}</td>'


def figure(plot: Plot, note: str, names: Sequence[str], shape: str = "line") -> Html:
    """A plot with its note, and a legend where several models are in it."""
    legend = [key(KINDS[name], name, shape) for name in names] if len(names) > 1 else []
    return captioned(plot, join([f"{note} " if note else "", *legend]))


def key(kind: str, name: str, shape: str) -> Html:
    """One entry of a legend."""
    return join((tag("span", Html(swatch(kind, shape=shape)), name, css="key"), " "))


def captioned(plot: Plot, caption: Html) -> Html:
    """A plot with whatever stands below it."""
    return tag("figure", tag("b", plot.title), Html(plot.svg()), tag("figcaption", caption))
