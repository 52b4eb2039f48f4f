"""Whether a version that answers unseen answers like the one that is live, request by request.

Both answered the very same rows, so that two equal versions differ in nothing, however few the rows are. Pure: pairs of
answers in, a finding out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from penstock.release.canary_comparison import Finding, Versions, distance_of
from penstock.release.shadow_requests import ANSWERED, Pair, first_reason
from penstock.scoring.signature import Kind
from penstock.spec.rollout import Rollout


@dataclass(frozen=True)
class Paired:
    """What both versions answered to the same rows; values of shape (rows,)."""

    live: Sequence[dict[str, Any]]
    shadow: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, found: Sequence[Pair]) -> "Paired":
        """The rows that both answered."""
        both = [pair for pair in found if pair["outcome"] == ANSWERED]
        return cls([pair["live"] for pair in both], [pair["shadow"] for pair in both])

    def distance(self, *, by_label: bool) -> tuple[float, float]:
        """`distance_of` the scores, of several classes of the labels."""
        name = "label" if by_label else "score"
        live, shadow = ([answer.get(name) for answer in side] for side in (self.live, self.shadow))
        return distance_of(shadow, live, by_label=by_label)

    def changed(self) -> float:
        """Share of the rows whose label is another."""
        return fmean(old.get("label") != new.get("label") for old, new in zip(self.live, self.shadow, strict=True))

    def difference(self) -> float:
        """Mean absolute difference of the scores."""
        return fmean(abs(old["score"] - new["score"]) for old, new in zip(self.live, self.shadow, strict=True))

    def spread(self) -> float:
        """Mean absolute deviation of the live version's scores from their median."""
        scores = [answer["score"] for answer in self.live]
        middle = median(scores)
        return fmean(abs(score - middle) for score in scores)


def compare(found: Sequence[Pair], versions: Versions, spec: Rollout, task: Kind) -> Finding:
    """What a shadow's answers come to, with the numbers behind it."""
    what = f"shadow of version {versions.new}" + (" with new code" if versions.new == versions.old else "")
    without = sum(pair["outcome"] != ANSWERED for pair in found)
    numbers: dict[str, Any] = {"rows": len(found), "unanswered": without}
    if without > spec.max_error_rate * len(found):
        limit = f"limit {100 * spec.max_error_rate:g}%"
        said = f"{without} of {len(found)} rows got no answer ({limit}), {first_reason(found)}"
        return Finding("bad", f"{what}: {said}", numbers)
    if len(found) - without < spec.min_rows:
        said = f"not compared, {len(found) - without} captured rows were answered again and {spec.min_rows} are needed"
        return Finding("not judged", f"{what}: {said}", numbers)
    measured = list(_measured(Paired.of(found), spec, task))
    numbers |= {item.name: round(item.value, 6) for item in measured}
    said = f"{what} on {len(found)} rows that version {versions.old} answered: " + ", ".join(i.said for i in measured)
    return Finding("bad" if any(item.bad for item in measured) else "fine", said, numbers)


@dataclass(frozen=True)
class _Measure:
    name: str
    value: float
    bad: bool
    said: str


def _measured(paired: Paired, spec: Rollout, task: Kind) -> Iterator[_Measure]:
    """How far the answers are from each other, each number with its limit.

    Of several classes the score is the most probable one's, perhaps of another class: its differences say nothing.
    """
    yield _psi(paired, spec, by_label=task == "multiclass")
    if task != "regression":
        changed = paired.changed()
        said = f"{changed:.1%} other labels (limit {100 * spec.max_changed:g}%)"
        yield _Measure("changed", changed, changed > spec.max_changed, said)
    if task != "multiclass":
        yield _difference(paired, spec.max_difference * paired.spread() if task == "regression" else None)


def _psi(paired: Paired, spec: Rollout, *, by_label: bool) -> _Measure:
    distance, chance = paired.distance(by_label=by_label)
    far = distance >= spec.max_score_psi
    by_chance = f", chance gives {chance:.3f}" if far and distance <= chance else ""
    said = f"PSI of the {'labels' if by_label else 'scores'} {distance:.3f} (limit {spec.max_score_psi:g}{by_chance})"
    return _Measure("psi", distance, far and not by_chance, said)


def _difference(paired: Paired, limit: float | None) -> _Measure:
    mean = paired.difference()
    shown = "" if limit is None else f" (limit {limit:.4g})"
    bad = limit is not None and mean > limit
    return _Measure("difference", mean, bad, f"scores {mean:.4g} apart on average{shown}")
