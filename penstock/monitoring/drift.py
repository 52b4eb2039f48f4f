"""Drift: the distance between a window of captured rows and the data that the live version was trained on.

A baseline has bins and the number of holdout rows in each: for every feature, for the score and, with three or more
classes, for the label. A window is counted in the same bins; counts of windows can be added. The distance is the
population stability index (PSI).
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
"""Columns of the baseline besides the features, with names that no feature has; with three or more classes the score is
the probability of the label."""
MISSING, OTHER = "(missing)", "(other)"
BINS = 10
CATEGORIES = 20
ALPHA = 0.01
"""Probability of a false alarm in a window, over all columns together."""

Counts = dict[str, int]
Outcome = Literal["drift", "no drift", "too little data", "no data"]


@dataclass(frozen=True)
class Bins:
    """The bins of a column: numeric ones by their inner edges, or the commonest categories."""

    edges: tuple[float, ...] | None
    categories: tuple[str, ...]

    def names(self) -> list[str]:
        """Return the names of all bins, in order; the last one is for missing values."""
        if self.edges is None:
            return [*self.categories, OTHER, MISSING]
        return [*(str(index) for index in range(len(self.edges) + 1)), MISSING]

    def count(self, values: Sequence[Value]) -> Counts:
        """Count the values in each bin."""
        counts = dict.fromkeys(self.names(), 0)
        present = _present(values)
        counts[MISSING] = len(values) - len(present)
        if self.edges is None:
            for value, number in Counter(map(str, present)).items():
                counts[value if value in self.categories else OTHER] += number
            return counts
        # In float32, as the model gets them: edges are values of the sample, and rounding must not move equal values.
        places = np.searchsorted(np.array(self.edges, np.float32), np.array(present, np.float32), side="right")
        for place, number in zip(*np.unique(places, return_counts=True), strict=True):
            counts[str(place)] = int(number)
        return counts


def _present(values: Sequence[Value]) -> list[Value]:
    """Return the values that are not missing: neither null nor NaN nor empty text."""
    return [value for value in values if value not in (None, "") and value == value]  # noqa: PLR0124 - NaN


def bins_of(values: Sequence[Value], *, numeric: bool, allowed: Sequence[str | float] = ()) -> Bins:
    """Return bins from a sample: distinct deciles, or the 20 commonest categories.

    Where the contract lists at most 20 allowed values, they are the categories, including values that the sample lacks.
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
    """Return the baseline document of a model: bins and counts of each feature and of the predictions. JSON.

    Args:
        fields: the features.
        columns: their values, each shape (rows,).
        scores: shape (rows,); with three or more classes (rows, classes).
        classes: of the target, where there are three or more.

    Raises:
        ValueError: the shape of the scores does not fit the classes.
    """
    binned: dict[str, tuple[Bins, Sequence[Value]]] = {
        field.name: (
            bins_of(columns[field.name], numeric=field.type != "string", allowed=field.allowed),
            columns[field.name],
        )
        for field in fields
        if not field.personal  # never captured, so it cannot be compared
    }
    binned |= _predictions(scores, classes)
    return {
        name: {"edges": bins.edges, "categories": bins.categories, "counts": bins.count(values)}
        for name, (bins, values) in binned.items()
    }


def _predictions(scores: Scores, classes: Sequence[Class]) -> dict[str, tuple[Bins, Sequence[Value]]]:
    """Return the columns of the predictions: the score, or with three or more classes the label and its probability."""
    is_multiclass = len(classes) > 2
    if scores.shape[1:] != ((len(classes),) if is_multiclass else ()):
        raise ValueError(f"scores of shape {scores.shape} are not those of {len(classes)} classes")
    top = (scores.max(axis=1) if is_multiclass else scores).tolist()
    columns: dict[str, tuple[Bins, Sequence[Value]]] = {SCORE: (bins_of(top, numeric=True), top)}
    if is_multiclass:
        labels = [str(classes[place]) for place in scores.argmax(axis=1)]
        columns[LABEL] = (Bins(edges=None, categories=tuple(map(str, classes))), labels)
    return columns


def class_names(document: Mapping[str, Any]) -> list[str]:
    """Return the classes of a baseline's model, in their order; empty where they are fewer than three."""
    return list(document[LABEL]["categories"]) if LABEL in document else []


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Return the population stability index Σ (a − e) ln(a / e) over bins' shares; half a row is added to each bin.

    Source: Siddiqi, Credit Risk Scorecards (2006), ch. 6; the half row keeps empty bins finite (Jeffreys prior).
    """
    e = np.array(expected, dtype=np.float64) + 0.5
    a = np.array(actual, dtype=np.float64) + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(np.sum((a - e) * np.log(a / e)))


def noise(bins: int, expected_rows: int, actual_rows: int, alpha: float) -> float:
    """Return the PSI that two samples of one distribution exceed with probability `alpha`.

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
    """PSI that chance alone exceeds in one window of a hundred, over all columns."""
    drifted: bool


@dataclass(frozen=True)
class Drift:
    """The result of comparing a window with the baseline."""

    outcome: Outcome
    sentence: str
    rows: int
    psi: float
    """The largest PSI above the noise; 0 where none is."""
    columns: tuple[ColumnDrift, ...] = ()


def compare(document: Mapping[str, Any], window: Columns, *, rows: int, min_rows: int, threshold: float) -> Drift:
    """Compare a window with the baseline.

    Args:
        document: the live version's baseline.
        window: column → values, including the score; each `rows` long.
        rows: number of rows in the window.
        min_rows: fewer rows give no verdict.
        threshold: PSI at which a column counts as drifted.
    """
    if rows == 0:
        return Drift("no data", "no new requests since the last look", 0, 0.0)
    if rows < min_rows:
        return Drift("too little data", f"{rows} new rows, {min_rows} are needed for a verdict", rows, 0.0)
    columns = [
        _compare_column(name, item, window[name], len(document), threshold)
        for name, item in document.items()
        if name in window
    ]
    ranked = tuple(sorted(columns, key=lambda column: -column.psi))
    drifted = [column for column in ranked if column.drifted]
    largest = max((column.psi for column in ranked if column.psi > column.noise), default=0.0)
    if not drifted:
        sentence = (
            f"{rows} rows look like the training data: the largest PSI is {ranked[0].psi:.3f} ({ranked[0].column})"
        )
        return Drift("no drift", sentence, rows, largest, ranked)
    list_of_drifted = ", ".join(f"{column.column} (PSI {column.psi:.3f})" for column in drifted)
    return Drift(
        "drift",
        f"{rows} rows have drifted from the training data in {list_of_drifted}; the limit is {threshold:g}",
        rows,
        largest,
        ranked,
    )


def _compare_column(
    name: str, item: Mapping[str, Any], values: Sequence[Value], columns: int, threshold: float
) -> ColumnDrift:
    edges = item["edges"]
    bins = Bins(edges=None if edges is None else tuple(edges), categories=tuple(item["categories"]))
    expected = [int(item["counts"][bin_]) for bin_ in bins.names()]
    actual = list(bins.count(values).values())
    distance = psi(expected, actual)
    chance = noise(len(expected), max(sum(expected), 1), len(values), ALPHA / columns)
    return ColumnDrift(name, distance, chance, drifted=distance >= threshold and distance > chance)
