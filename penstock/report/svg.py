"""Plots as inline SVG text: what a report needs of them, themed by the page's CSS and readable without it.

A plot is 360 units wide, so that its words stay legible on a telephone. Colours are classes (`a` challenger,
`b` champion, `c` a third), never values; series differ by more than colour (dashes, hollow bars), for print.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 10, 42

UNITS = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""From which number on ticks are written in what size, and its sign."""

Point = Sequence[float]
"""x and y."""


@dataclass(frozen=True)
class Axis:
    """What an axis shows, its unit in the label, and from where to where."""

    label: str
    low: float
    high: float

    @classmethod
    def over(cls, label: str, values: Iterable[float]) -> "Axis":
        """An axis that holds all values with a little air; one value, or none, gets room too."""
        found = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(found), max(found)
        air = (high - low) * 0.04 or abs(high) * 0.5 or 1.0
        return cls(label, low - air, high + air)

    def ticks(self) -> list[float]:
        """About five round numbers within: multiples of 1, 2 or 5 times a power of ten."""
        span = self.high - self.low
        rough = span / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


class Plot:
    """One plot: axes first, then marks in the order in which they lie over each other."""

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self.title, self.x, self.y = title, x, y
        self._marks: list[str] = []

    def across(self, value: float) -> float:
        """A value's place from the left."""
        return LEFT + (value - self.x.low) / (self.x.high - self.x.low) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        """A value's place from the top."""
        return HEIGHT - BOTTOM - (value - self.y.low) / (self.y.high - self.y.low) * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Iterable[Point], kind: str, *, dots: bool = False) -> None:
        """A line through points, which may be marked."""
        places = [(self.across(x), self.up(y)) for x, y in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self._marks.append(f'<polyline class="line {kind}" points="{drawn}"/>')
        if dots:
            self._marks += [f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]

    def cloud(self, points: Iterable[Point], kind: str) -> None:
        """Many points, seen through each other."""
        self._marks += [
            f'<circle class="cloud {kind}" cx="{self.across(x):.1f}" cy="{self.up(y):.1f}" r="2"/>' for x, y in points
        ]

    def bars(self, edges: Sequence[float], heights: Sequence[float], kind: str) -> None:
        """A histogram's bars; as many heights as there are gaps between edges."""
        for low, high, height in zip(edges, edges[1:], heights, strict=False):
            left, right, top = self.across(low), self.across(high), self.up(height)
            size = f'width="{max(right - left - 0.6, 0.4):.1f}" height="{max(self.up(self.y.low) - top, 0):.1f}"'
            self._marks.append(f'<rect class="bar {kind}" x="{left:.1f}" y="{top:.1f}" {size}/>')

    def guide(self, start: Point, end: Point) -> None:
        """A thin line to compare with."""
        (x1, y1), (x2, y2) = start, end
        ends = f'x1="{self.across(x1):.1f}" y1="{self.up(y1):.1f}" x2="{self.across(x2):.1f}" y2="{self.up(y2):.1f}"'
        self._marks.append(f'<line class="guide" {ends}/>')

    def svg(self) -> str:
        """The drawing."""
        name = escape(self.title)
        start = f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>'
        return "".join([start, *self._grid(), *self._marks, *self._labels(), "</svg>"])

    def _grid(self) -> Iterable[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick, word in zip(self.x.ticks(), words(self.x.ticks()), strict=True):
            at = self.across(tick)
            yield f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}"/>'
            yield f'<text class="tick" x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{word}</text>'
        for tick, word in zip(self.y.ticks(), words(self.y.ticks()), strict=True):
            at = self.up(tick)
            yield f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>'
            yield f'<text class="tick" x="{LEFT - 5}" y="{at + 3.5:.1f}" text-anchor="end">{word}</text>'

    def _labels(self) -> Iterable[str]:
        middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
        yield f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}">{escape(self.x.label)}</text>'
        turned = f'transform="rotate(-90 11 {middle})"'
        yield f'<text class="axis" {turned} x="11" y="{middle}">{escape(self.y.label)}</text>'


def words(ticks: Sequence[float]) -> list[str]:
    """The ticks as text, all with the decimals that their distance needs; thousands as k, millions as M."""
    largest = max(map(abs, ticks), default=0.0)
    size, unit = next(((size, unit) for least, size, unit in UNITS if largest >= least), (1.0, ""))
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0) / size
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0
    if decimals > 5:
        return [f"{tick:.0e}" if tick else "0" for tick in ticks]
    return [f"{tick / size + 0.0:.{decimals}f}{unit if tick else ''}" for tick in ticks]


def swatch(kind: str, *, shape: str = "line") -> str:
    """A series' mark for a legend, as it is drawn."""
    mark = (
        f'<line class="line {kind}" x1="1" y1="5" x2="21" y2="5"/>'
        if shape == "line"
        else f'<rect class="bar {kind}" x="4" y="1" width="14" height="8"/>'
    )
    return f'<svg class="swatch" viewBox="0 0 22 10" aria-hidden="true">{mark}</svg>'


def share_bar(share: float) -> str:
    """A bar in a table's cell, 0–1 of its width."""
    width = f"{min(max(share, 0.0), 1.0) * 100:.1f}"
    return (
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="bar a" width="{width}" height="10"/></svg>'
    )
