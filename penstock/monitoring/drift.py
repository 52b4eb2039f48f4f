"""Drift: how far a window of answered requests is from what the live version was trained on.

A baseline holds bins, and how many holdout rows fell into each: for each feature, for the score and, of several
classes, for the label. A window is counted into the same bins; counts of windows add up. The distance is the population
stability index (PSI).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from penstock.scoring.signature import Class, Columns, Field, Scores, Value

SCORE, LABEL = "(score)", "(label)"
"""Columns that the baseline has besides the features, under names that no feature has; of several classes the score is
the most probable one's."""
MISSING, OTHER = "(missing)", "(other)"
BINS = 10
CATEGORIES = 20
ALPHA = 0.01
"""Chance of a false alarm a window, over all columns together."""

Counts = dict[str, int]
Outcome = Literal["drift", "no drift", "too little data", "no data"]


@dataclass(frozen=True)
class Bins:
    """How one column is counted: numeric bins by inner edges, or the commonest categories."""

    edges: tuple[float, ...] | None
    categories: tuple[str, ...]

    def names(self) -> list[str]:
        """All bins, in order; missing values have one of their own."""
        if self.edges is None:
            return [*self.categories, OTHER, MISSING]
        return [*(str(index) for index in range(len(self.edges) + 1)), MISSING]

    def count(self, values: Sequence[Value]) -> Counts:
        """How many values fall into each bin."""
        counts = dict.fromkeys(self.names(), 0)
        present = _present(values)
        counts[MISSING] = len(values) - len(present)
        if self.edges is None:
            for value, number in Counter(map(str, present)).items():
                counts[value if value in self.categories else OTHER] += number
            return counts
        # As the model gets them: an edge is a value of the sample, so rounding decides on which side its equals fall.
        places = np.searchsorted(np.array(self.edges, np.float32), np.array(present, np.float32), side="right")
        for place, number in zip(*np.unique(places, return_counts=True), strict=True):
            counts[str(place)] = int(number)
        return counts


def _present(values: Sequence[Value]) -> list[Value]:
    """The values that are not missing: neither null nor NaN nor the empty text that stands for a missing one."""
    return [value for value in values if value not in (None, "") and value == value]  # noqa: PLR0124 - NaN


def bins_of(values: Sequence[Value], *, numeric: bool, allowed: Sequence[str | float] = ()) -> Bins:
    """Bins from a sample: deciles (at the distinct ones), or the 20 commonest categories.

    Where the contract lists no more than that, its values are the categories: one that the sample lacks may still come.
    """
    present = _present(values)
    if not numeric and 0 < len(allowed) <= CATEGORIES:
        return Bins(edges=None, categories=tuple(sorted(map(str, allowed))))
    if not numeric:
        common = [str(value) for value, _ in Counter(map(str, present)).most_common(CATEGORIES)]
        return Bins(edges=None, categories=tuple(sorted(common)))
    if not present:
        return Bins(edges=(), categories=())
    quantiles = np.quantile(np.array(present, dtype=np.float32), np.linspace(0, 1, BINS + 1)[1:-1])
    return Bins(edges=tuple(float(edge) for edge in np.unique(quantiles)), categories=())


def baseline(
    fields: Sequence[Field], columns: Columns, scores: Scores, classes: Sequence[Class] = ()
) -> dict[str, Any]:
    """The baseline document of a model: for each feature and what is answered, bins and counts. JSON.

    Args:
        fields: the features.
        columns: their values, each shape (rows,).
        scores: shape (rows,); of several classes (rows, classes).
        classes: where there are three or more.

    Raises:
        ValueError: scores of another shape than the classes ask for.
    """
    made: dict[str, tuple[Bins, Sequence[Value]]] = {
        field.name: (
            bins_of(columns[field.name], numeric=field.type != "string", allowed=field.allowed),
            columns[field.name],
        )
        for field in fields
        if not field.personal  # never captured, so there will be nothing to compare
    }
    made |= _answered(scores, classes)
    return {
        name: {"edges": bins.edges, "categories": bins.categories, "counts": bins.count(values)}
        for name, (bins, values) in made.items()
    }


def _answered(scores: Scores, classes: Sequence[Class]) -> dict[str, tuple[Bins, Sequence[Value]]]:
    """The columns of what is answered: the score, or of several classes the label and its probability."""
    several = len(classes) > 2
    if scores.shape[1:] != ((len(classes),) if several else ()):
        raise ValueError(f"scores of shape {scores.shape} are not those of {len(classes)} classes")
    top = (scores.max(axis=1) if several else scores).tolist()
    made: dict[str, tuple[Bins, Sequence[Value]]] = {SCORE: (bins_of(top, numeric=True), top)}
    if several:
        labels = [str(classes[place]) for place in scores.argmax(axis=1)]
        made[LABEL] = (Bins(edges=None, categories=tuple(map(str, classes))), labels)
    return made


def class_names(document: Mapping[str, Any]) -> list[str]:
    """The classes of the model that a baseline is of, in their order; none where they are not three or more."""
    return list(document[LABEL]["categories"]) if LABEL in document else []


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Population stability index Σ (a − e) ln(a / e) over bins' shares; half a row is added to each bin.

    Source: Siddiqi, Credit Risk Scorecards (2006), ch. 6; the half row keeps empty bins finite (Jeffreys prior).
    """
    e = np.array(expected, dtype=np.float64) + 0.5
    a = np.array(actual, dtype=np.float64) + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(np.sum((a - e) * np.log(a / e)))


def noise(bins: int, expected_rows: int, actual_rows: int, alpha: float) -> float:
    """The PSI that two samples of one distribution exceed with probability `alpha`.

    PSI ≈ (1/n + 1/m) χ²(bins − 1). Source: Yurdakul & Naranjo, Statistical properties of the population stability
    index (2020). The χ² quantile by Wilson & Hilferty (1931).
    """
    degrees = max(bins - 1, 1)
    z = NormalDist().inv_cdf(1 - alpha)
    chi2 = degrees * (1 - 2 / (9 * degrees) + z * (2 / (9 * degrees)) ** 0.5) ** 3
    return float((1 / expected_rows + 1 / actual_rows) * chi2)


@dataclass(frozen=True)
class ColumnDrift:
    column: str
    psi: float
    noise: float
    """What chance alone would reach in one window of a hundred, over all columns."""
    drifted: bool


@dataclass(frozen=True)
class Drift:
    """The result of one look."""

    outcome: Outcome
    sentence: str
    rows: int
    psi: float
    """The largest PSI that is more than noise; 0 where nothing is."""
    columns: tuple[ColumnDrift, ...] = ()


def compare(document: Mapping[str, Any], window: Columns, *, rows: int, min_rows: int, threshold: float) -> Drift:
    """A window against the baseline.

    Args:
        document: the live version's baseline.
        window: column → values, the score among them; each `rows` long.
        rows: how many requests' rows the window has.
        min_rows: fewer than this give no verdict.
        threshold: PSI from which a column has drifted.
    """
    if rows == 0:
        return Drift("no data", "no new requests since the last look", 0, 0.0)
    if rows < min_rows:
        return Drift("too little data", f"{rows} new rows, {min_rows} are needed for a verdict", rows, 0.0)
    found = [
        _column(name, item, window[name], len(document), threshold) for name, item in document.items() if name in window
    ]
    ranked = tuple(sorted(found, key=lambda column: -column.psi))
    drifted = [column for column in ranked if column.drifted]
    largest = max((column.psi for column in ranked if column.psi > column.noise), default=0.0)
    if not drifted:
        sentence = (
            f"{rows} rows look like the training data: the largest PSI is {ranked[0].psi:.3f} ({ranked[0].column})"
        )
        return Drift("no drift", sentence, rows, largest, ranked)
    named = ", ".join(f"{column.column} (PSI {column.psi:.3f})" for column in drifted)
    return Drift(
        "drift",
        f"{rows} rows have drifted from the training data in {named}; the limit is {threshold:g}",
        rows,
        largest,
        ranked,
    )


def _column(name: str, item: Mapping[str, Any], values: Sequence[Value], columns: int, threshold: float) -> ColumnDrift:
    edges = item["edges"]
    bins = Bins(edges=None if edges is None else tuple(edges), categories=tuple(item["categories"]))
    expected = [int(item["counts"][bin_]) for bin_ in bins.names()]
    actual = list(bins.count(values).values())
    distance = psi(expected, actual)
    chance = noise(len(expected), max(sum(expected), 1), len(values), ALPHA / columns)
    return ColumnDrift(name, distance, chance, drifted=distance >= threshold and distance > chance)
