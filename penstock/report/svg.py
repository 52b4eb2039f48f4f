"""Plots as lists of SVG elements, which a template prints inline; colours come from the page's CSS.

A plot is 360 units wide, so that its labels stay legible on a telephone. Colours are CSS classes (`a` challenger,
`b` champion), never values. Series differ by more than colour, for print and for curves that coincide: the champion is
a wide dashed band with hollow squares, the challenger a thin line on top of it with filled circles.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 10, 42
MARKERS = 6
"""Markers along a curve of many points."""

UNITS = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""The number from which ticks are written in a unit, the unit's size, and its sign."""

Point = Sequence[float]
"""x and y."""
Kind = Literal["a", "b"]


@dataclass(frozen=True)
class Element:
    """An SVG element."""

    name: str
    attributes: Mapping[str, object]
    text: str = ""


@dataclass(frozen=True)
class Axis:
    """An axis: its label, with the unit, and its range."""

    label: str
    low: float
    high: float

    @classmethod
    def over(cls, label: str, values: Iterable[float]) -> "Axis":
        """Return an axis that holds all values with a margin; one value, or none, gets a range too."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        margin = (high - low) * 0.04 or abs(high) * 0.5 or 1.0
        return cls(label, low - margin, high + margin)

    def ticks(self) -> list[float]:
        """Return about five round numbers within: multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


@dataclass
class Plot:
    """One plot: axes first, then marks, each above those before it."""

    title: str
    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    _marks: list[Element] = field(default_factory=list)

    def line(self, points: Iterable[Point], kind: Kind, *, dots: bool = False) -> None:
        """Draw a line through points, with a marker on each point (`dots`) or on a few along the line."""
        places = [(self._left(x), self._top(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self._marks.append(Element("polyline", {"class": f"line {kind}", "points": path}))
        self._marks += [marker(kind, *place) for place in (places if dots else _spread(places, kind))]

    def cloud(self, points: Iterable[Point], kind: Kind) -> None:
        """Draw many half-transparent points."""
        for x, y in points:
            at = {"cx": f"{self._left(x):.1f}", "cy": f"{self._top(y):.1f}", "r": 2}
            self._marks.append(Element("circle", {"class": f"cloud {kind}", **at}))

    def bars(self, edges: Sequence[float], heights: Sequence[float], kind: Kind) -> None:
        """Draw a histogram's bars; as many heights as there are gaps between edges."""
        for low, high, value in zip(edges, edges[1:], heights, strict=False):
            left, right, top = self._left(low), self._left(high), self._top(value)
            width, height = max(right - left - 0.6, 0.4), max(self._top(self.y.low) - top, 0)
            place = {"x": f"{left:.1f}", "y": f"{top:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
            self._marks.append(Element("rect", {"class": f"bar {kind}", **place}))

    def guide(self, start: Point, end: Point) -> None:
        """Draw a thin line to compare with."""
        self._marks.append(_line("guide", *map(self._place, (start, end))))

    def elements(self) -> Iterator[Element]:
        """Yield everything, lowest first."""
        yield from self._grid()
        yield from self._marks
        yield from self._labels()

    def _place(self, point: Point) -> tuple[float, float]:
        return self._left(point[0]), self._top(point[1])

    def _left(self, value: float) -> float:
        return LEFT + (value - self.x.low) / (self.x.high - self.x.low) * (WIDTH - LEFT - RIGHT)

    def _top(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y.low) / (self.y.high - self.y.low) * (HEIGHT - TOP - BOTTOM)

    def _grid(self) -> Iterator[Element]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick, label in zip(self.x.ticks(), words(self.x.ticks()), strict=True):
            at = self._left(tick)
            yield _line("grid", (at, TOP), (at, bottom))
            yield _text("tick", label, x=f"{at:.1f}", y=bottom + 14, **{"text-anchor": "middle"})
        for tick, label in zip(self.y.ticks(), words(self.y.ticks()), strict=True):
            at = self._top(tick)
            yield _line("grid", (LEFT, at), (right, at))
            yield _text("tick", label, x=LEFT - 5, y=f"{at + 3.5:.1f}", **{"text-anchor": "end"})

    def _labels(self) -> Iterator[Element]:
        middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
        yield _text("axis", self.x.label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8)
        yield _text("axis", self.y.label, transform=f"rotate(-90 11 {middle})", x=11, y=middle)


def marker(kind: Kind, x: float, y: float) -> Element:
    """Return a series' marker: a filled circle, or a hollow square around it where both lie on the same point."""
    if kind == "a":
        return Element("circle", {"class": "dot a", "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": 2.6})
    return Element("rect", {"class": "dot b", "x": f"{x - 4:.1f}", "y": f"{y - 4:.1f}", "width": 8, "height": 8})


def swatch(kind: Kind, shape: Literal["line", "bar"]) -> list[Element]:
    """Return a legend's mark, 26 by 10 units, which looks like the series."""
    if shape == "bar":
        return [Element("rect", {"class": f"bar {kind}", "x": 5, "y": 1, "width": 16, "height": 8})]
    return [_line(f"line {kind}", (1, 5), (25, 5)), marker(kind, 13, 5)]


def words(ticks: Sequence[float]) -> list[str]:
    """Format ticks, all with the decimals that their distance needs; thousands as k, millions as M."""
    largest = max(map(abs, ticks), default=0.0)
    size, unit = next(((size, unit) for least, size, unit in UNITS if largest >= least), (1.0, ""))
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0) / size
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0
    if decimals > 5:
        return [f"{tick:.0e}" if tick else "0" for tick in ticks]
    return [f"{tick / size + 0.0:.{decimals}f}{unit if tick else ''}" for tick in ticks]


def _spread(places: Sequence[tuple[float, float]], kind: Kind) -> list[tuple[float, float]]:
    """Choose points for markers, evenly along a line; the two series' fall on different places."""
    lengths = [math.dist(before, after) for before, after in pairwise(places)]
    total = sum(lengths)
    targets = [(index + (0.25 if kind == "a" else 0.75)) / MARKERS * total for index in range(MARKERS)]
    chosen, along = [], 0.0
    for length, place in zip(lengths, places[1:], strict=True):
        along += length
        if targets and along >= targets[0]:
            chosen.append(place)
            targets = [at for at in targets if at > along]
    return chosen


def _line(css: str, start: Point, end: Point) -> Element:
    (x1, y1), (x2, y2) = start, end
    return Element("line", {"class": css, "x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"})


def _text(css: str, text: str, **attributes: object) -> Element:
    return Element("text", {"class": css, **attributes}, text)
