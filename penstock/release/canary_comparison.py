"""Canary comparison: compare the answers of the new version with those of the live one, in distribution.

Both get requests of the same time, drawn at random, so that the requests are alike and only the answers can differ.
Pure: captured rows in, a finding out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.monitoring.drift import bins_of, noise, psi
from penstock.spec.rollout import Rollout

Verdict = Literal["fine", "bad", "not judged"]
ALPHA = 0.001
"""Chance that one look finds a difference between versions that have none; a rollout takes many looks."""


@dataclass(frozen=True)
class Finding:
    """The result of one check of the new version."""

    verdict: Verdict
    reason: str
    numbers: Mapping[str, Any] | None = None
    """Behind the reason, for the ledger; None where it has none."""


@dataclass(frozen=True)
class Versions:
    """The two versions of the model that are compared, by their numbers."""

    new: int
    old: int | None
    """None where nothing was live."""

    @property
    def alone(self) -> str:
        """Why there are no two versions to compare; empty if there are."""
        if self.old is None:
            return f"scores not compared: no other version than {self.new} was live"
        if self.old == self.new:
            return "the same model with new code: its scores were held to the golden examples"
        return ""


def group_answers(rows: Iterable[Mapping[str, Any]], since: str, *, by_label: bool) -> dict[int, list[Any]]:
    """Group answers by version: scores, or of several classes labels; None for an answer without one.

    Args:
        rows: as the predict function captured them.
        since: the first moment that counts, ISO 8601 in UTC.
        by_label: whether there are several classes.
    """
    answers: dict[int, list[Any]] = {}
    start = since.removesuffix("Z").removesuffix("+00:00")
    for row in rows:
        if str(row["at"]).removesuffix("+00:00") >= start:
            answers.setdefault(int(row["version"]), []).append(row.get("label" if by_label else "score"))
    return answers


def compare(answers: Mapping[int, Sequence[Any]], versions: Versions, spec: Rollout, *, by_label: bool) -> Finding:
    """Compare the new version's answers with the old one's, in bins of the old one's.

    The population stability index must reach the limit and be more than chance gives (`penstock.monitoring.drift`).
    """
    if versions.old is None or versions.alone:
        return Finding("not judged", versions.alone)
    new, old = answers.get(versions.new, ()), answers.get(versions.old, ())
    if min(len(new), len(old)) < spec.min_rows:
        counts = f"{len(new)} rows of version {versions.new} and {len(old)} of version {versions.old} were answered"
        return Finding("not judged", f"scores not compared: {counts}, {spec.min_rows} of each are needed")
    distance, chance = distance_of(new, old, by_label=by_label)
    measure = f"{'labels' if by_label else 'scores'} of versions {versions.new} and {versions.old}: PSI {distance:.3f}"
    sentence = f"{measure} over {len(new)} and {len(old)} rows, the limit is {spec.max_score_psi:g}"
    if distance < spec.max_score_psi:
        return Finding("fine", sentence)
    if distance > chance:
        return Finding("bad", sentence)
    return Finding("fine", f"{sentence}, and chance gives {chance:.3f}")


def distance_of(new: Sequence[Any], old: Sequence[Any], *, by_label: bool) -> tuple[float, float]:
    """Return the PSI (population stability index) of the answers, and the value that chance rarely exceeds."""
    bins = bins_of(old, numeric=not by_label)
    counts = [list(bins.count(values).values()) for values in (old, new)]
    return psi(*counts), noise(len(counts[0]), len(old), len(new), ALPHA)
