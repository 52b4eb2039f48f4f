"""Shadow comparison: how the answers of a version without traffic to captured requests differ from the live ones.

A request is asked as it came, with all of its captured rows, so that the version works as it would for callers. Both
versions answered the very same rows, so that two equal versions differ in nothing, however few the rows are. Pure:
captured rows and replies in, requests, pairs of answers and a finding out.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from penstock.api import synthetic_request
from penstock.release.canary_comparison import Finding, Versions, distance_of
from penstock.scoring.signature import Kind
from penstock.spec.rollout import Rollout

ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"
"""Outcomes of a row: `refused` is a 4xx, with what is wrong; `failed` is everything else."""
REASON_LIMIT = 300
"""Characters of a refusal or an error that are stored."""
_STORED = ("score", "label")

Row = Mapping[str, Any]
Pair = dict[str, Any]
"""`id`, `at`, `live` (the caller's answer) and `outcome`; with `shadow` (the new version's answer), or why it has none
as `reason`."""


# Requests and replies


@dataclass(frozen=True)
class Request:
    """An answered request, as far as it was captured."""

    name: str
    """Its id, as API Gateway gave it."""
    rows: tuple[Row, ...]
    """As they were captured."""

    def event(self) -> dict[str, Any]:
        """The request as the HTTPS API sends it.

        A value that is null was missing, and a version that has no such column any more need not know its name.
        """
        instances = [{name: value for name, value in row["instance"].items() if value is not None} for row in self.rows]
        return synthetic_request.event("shadow", self.name, instances)


def group_requests(rows: Iterable[Row]) -> list[Request]:
    """Group captured rows by their request: an inference id is the request's, a hyphen and the row's."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row["id"]).rpartition("-")[0], []).append(row)
    return [Request(name, tuple(members)) for name, members in groups.items()]


def sample(requests: Iterable[Request], max_rows: int) -> list[Request]:
    """Choose whole requests by their names' hashes, with at most so many rows together, and at least one request."""
    chosen: list[Request] = []
    for request in sorted(requests, key=lambda request: hashlib.sha256(request.name.encode()).digest()):
        if chosen and len(request.rows) > max_rows:
            continue
        chosen.append(request)
        max_rows -= len(request.rows)
    return chosen


def pair_answers(request: Request, reply: Mapping[str, Any], *, failed: bool) -> list[Pair]:
    """Pair each row's two answers.

    Args:
        request: with the live version's answers.
        reply: the shadow's, or the error that it raised.
        failed: whether it raised one.
    """
    predictions = None if failed or reply.get("statusCode") != 200 else json.loads(reply["body"])["predictions"]
    if predictions is None or len(predictions) != len(request.rows):
        outcome, reason = _trouble(reply, failed=failed)
        return [_live_half(row) | {"outcome": outcome, "reason": reason} for row in request.rows]
    rows = zip(request.rows, predictions, strict=True)
    return [_live_half(row) | {"outcome": ANSWERED, "shadow": _stored(prediction)} for row, prediction in rows]


def _live_half(row: Row) -> Pair:
    return {"id": row["id"], "at": row["at"], "live": _stored(row)}


def _stored(prediction: Row) -> dict[str, Any]:
    return {name: prediction[name] for name in _STORED if name in prediction}


def _trouble(reply: Mapping[str, Any], *, failed: bool) -> tuple[str, str]:
    """Return how a reply without predictions is counted, and its message."""
    if failed:
        return FAILED, str(reply.get("errorMessage") or reply)[:REASON_LIMIT]
    status = int(reply.get("statusCode", 0))
    if 400 <= status < 500:
        return REFUSED, str(json.loads(reply["body"]).get("detail"))[:REASON_LIMIT]
    return FAILED, f"status {status}, and not as many predictions as rows"


# Comparison


def compare(pairs: Sequence[Pair], versions: Versions, spec: Rollout, task: Kind) -> Finding:
    """Compare a shadow's answers with the live version's; return the finding with its numbers."""
    subject = f"shadow of version {versions.new}" + (" with new code" if versions.new == versions.old else "")
    unanswered = sum(pair["outcome"] != ANSWERED for pair in pairs)
    numbers: dict[str, Any] = {"rows": len(pairs), "unanswered": unanswered}
    if unanswered > spec.max_error_rate * len(pairs):
        limit = f"limit {100 * spec.max_error_rate:g}%"
        reason = f"{unanswered} of {len(pairs)} rows got no answer ({limit}), {_first_reason(pairs)}"
        return Finding("bad", f"{subject}: {reason}", numbers)
    answers = len(pairs) - unanswered
    if answers < spec.min_rows:
        reason = f"not compared, {answers} captured rows were answered again and {spec.min_rows} are needed"
        return Finding("not judged", f"{subject}: {reason}", numbers)
    measures = list(_measures(_Paired.of(pairs), spec, task))
    numbers |= {measure.name: round(measure.value, 6) for measure in measures}
    comparison = ", ".join(measure.sentence for measure in measures)
    reason = f"{subject} on {len(pairs)} rows that version {versions.old} answered: {comparison}"
    return Finding("bad" if any(measure.is_bad for measure in measures) else "fine", reason, numbers)


def _first_reason(pairs: Sequence[Pair]) -> str:
    """Return the message of the first row without an answer; empty if all have one."""
    return next((f"{pair['outcome']}: {pair['reason']}" for pair in pairs if pair["outcome"] != ANSWERED), "")


@dataclass(frozen=True)
class _Paired:
    """Both versions' answers to the same rows; values of shape (rows,)."""

    live: Sequence[dict[str, Any]]
    shadow: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "_Paired":
        """Return the rows that both versions answered."""
        both = [pair for pair in pairs if pair["outcome"] == ANSWERED]
        return cls([pair["live"] for pair in both], [pair["shadow"] for pair in both])

    def distance(self, *, by_label: bool) -> tuple[float, float]:
        """`distance_of` the scores, of several classes of the labels."""
        name = "label" if by_label else "score"
        live, shadow = ([answer.get(name) for answer in side] for side in (self.live, self.shadow))
        return distance_of(shadow, live, by_label=by_label)

    def changed(self) -> float:
        """Share of the rows whose label differs."""
        return fmean(old.get("label") != new.get("label") for old, new in zip(self.live, self.shadow, strict=True))

    def difference(self) -> float:
        """Mean absolute difference of the scores."""
        return fmean(abs(old["score"] - new["score"]) for old, new in zip(self.live, self.shadow, strict=True))

    def spread(self) -> float:
        """Mean absolute deviation of the live version's scores from their median."""
        scores = [answer["score"] for answer in self.live]
        middle = median(scores)
        return fmean(abs(score - middle) for score in scores)


@dataclass(frozen=True)
class _Measure:
    name: str
    value: float
    is_bad: bool
    sentence: str


def _measures(paired: _Paired, spec: Rollout, task: Kind) -> Iterator[_Measure]:
    """Return the distances between the answers, each with its limit.

    Of several classes the score is the most probable one's, perhaps of another class: its differences say nothing.
    """
    yield _measure_psi(paired, spec, by_label=task == "multiclass")
    if task != "regression":
        changed = paired.changed()
        sentence = f"{changed:.1%} other labels (limit {100 * spec.max_changed:g}%)"
        yield _Measure("changed", changed, changed > spec.max_changed, sentence)
    if task != "multiclass":
        yield _measure_difference(paired, spec.max_difference * paired.spread() if task == "regression" else None)


def _measure_psi(paired: _Paired, spec: Rollout, *, by_label: bool) -> _Measure:
    distance, chance = paired.distance(by_label=by_label)
    far = distance >= spec.max_score_psi
    by_chance = f", chance gives {chance:.3f}" if far and distance <= chance else ""
    subject = "labels" if by_label else "scores"
    sentence = f"PSI of the {subject} {distance:.3f} (limit {spec.max_score_psi:g}{by_chance})"
    return _Measure("psi", distance, far and not by_chance, sentence)


def _measure_difference(paired: _Paired, limit: float | None) -> _Measure:
    mean = paired.difference()
    limit_clause = "" if limit is None else f" (limit {limit:.4g})"
    is_bad = limit is not None and mean > limit
    return _Measure("difference", mean, is_bad, f"scores {mean:.4g} apart on average{limit_clause}")
