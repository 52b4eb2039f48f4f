"""Figures that reports of several tasks share: curves of challenger and champion, calibration, confusion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.report.formatting import number
from penstock.report.svg import Axis, Element, Kind, Plot, swatch

Curves = Mapping[str, Any]
KINDS: Mapping[str, Kind] = {"challenger": "a", "champion": "b"}
MANY_CLASSES = 8
"""Classes above which a confusion matrix shows counts only."""
UNIT_SQUARE = ((0, 0), (1, 1))
"""Ends of the diagonal of a plot whose axes go from 0 to 1."""


@dataclass(frozen=True)
class Key:
    """One entry of a legend."""

    label: str
    mark: Sequence[Element]


@dataclass(frozen=True)
class Figure:
    """A plot with its caption."""

    plot: Plot
    note: str
    keys: Sequence[Key] = ()


@dataclass(frozen=True)
class Cell:
    """One count of a confusion matrix."""

    count: int
    share: float
    """Of the actual class' rows, 0-1."""


@dataclass(frozen=True)
class Confusion:
    """Counts by actual class (rows) and predicted class (columns)."""

    title: str
    classes: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def is_large(self) -> bool:
        """Whether there is room for counts only."""
        return len(self.classes) > MANY_CLASSES


@dataclass(frozen=True)
class Block:
    """Figures or confusion matrices that belong together."""

    figures: Sequence[Figure] = ()
    confusions: Sequence[Confusion] = ()
    title: str = ""
    note: str = ""
    small: bool = False


def legend(labels: Mapping[str, Kind], shape: Literal["line", "bar"] = "line") -> list[Key]:
    """Return the legend of several series; none where there is one series."""
    return [Key(label, swatch(kind, shape)) for label, kind in labels.items()] if len(labels) > 1 else []


def legend_of_models(models: Sequence[str], shape: Literal["line", "bar"] = "line") -> list[Key]:
    """Return the legend of challenger and champion."""
    return legend({name: KINDS[name] for name in models}, shape)


def curve(
    models: Mapping[str, Curves],
    key: str,
    title: str,
    labels: tuple[str, str],
    note: str,
    guide: tuple[tuple[float, float], tuple[float, float]] | None,
) -> list[Figure]:
    """Plot a line for each model that has points under `key`, both axes from 0 to 1; nothing where no model has."""
    lines = {name: model[key] for name, model in models.items() if model.get(key)}
    if not lines:
        return []
    plot = Plot(title, Axis(labels[0], 0, 1), Axis(labels[1], 0, 1))
    if guide:
        plot.guide(*guide)
    for name, points in reversed(lines.items()):
        plot.line(points, KINDS[name])
    return [Figure(plot, note, legend_of_models(list(lines)))]


def calibration(models: Mapping[str, Curves], labels: tuple[str, str], note: str) -> list[Figure]:
    """Plot scores against observed shares, bin by bin; nothing where it was not measured."""
    lines = {name: model["calibration"] for name, model in models.items() if model.get("calibration")}
    if not lines:
        return []
    plot = Plot("Calibration", Axis(labels[0], 0, 1), Axis(labels[1], 0, 1))
    plot.guide(*UNIT_SQUARE)
    for name, bins in reversed(lines.items()):
        plot.line([(item["score"], item["positive"]) for item in bins], KINDS[name], dots=True)
    return [Figure(plot, note, legend_of_models(list(lines)))]


def confusions(models: Mapping[str, Curves]) -> list[Confusion]:
    """Return the confusion matrix of each model that has one."""
    return [_confusion(name, model["confusion"]) for name, model in models.items() if model.get("confusion")]


def _confusion(model: str, matrix: Mapping[str, Any]) -> Confusion:
    classes = [str(item) for item in matrix["classes"]]
    rows = []
    for counts in matrix["rows"]:
        total = sum(counts) or 1
        rows.append([Cell(count, count / total) for count in counts])
    threshold = matrix.get("threshold")
    title = f"Confusion: {model}" + ("" if threshold is None else f", {classes[-1]} from {number(threshold)}")
    return Confusion(title, classes, rows)
