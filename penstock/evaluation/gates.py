"""Gates: compare an evaluation with the spec's conditions; return a decision with reasons.

Pure: numbers in, a decision out, the same on the laptop and in the cloud.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.spec.model import BESIDE, DISPARITIES, LOWER_IS_BETTER, Gate

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Verdict:
    """One gate's outcome: the number, its limit, and a sentence."""

    gate: str
    number: float | None
    threshold: float | None
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Decision:
    """The decision whether a challenger may be registered, with its reason."""

    passed: bool
    reason: str
    verdicts: tuple[Verdict, ...]


def decide(
    gates: Sequence[Gate],
    challenger: Numbers,
    *,
    baseline: Numbers,
    champion: Numbers | None,
    evaluation: Mapping[str, Any] | None = None,
) -> Decision:
    """Check all gates; all must pass. While no model is live, the baseline stands in for the champion.

    Args:
        gates: of the model.
        challenger: its metrics.
        baseline: the naive baseline's.
        champion: the live model's, if there is one that can be compared with.
        evaluation: the document that they are from, for gates on other numbers (`intervals`, …).
    """
    measured = Measured(challenger, {"baseline": baseline, "champion": champion}, evaluation or {})
    verdicts = tuple(_judge(gate, measured) for gate in gates)
    failed = [verdict.sentence for verdict in verdicts if not verdict.passed]
    # The verdicts hold the sentences of all gates; the decision itself repeats those with a confidence.
    comparisons = [
        verdict.sentence for gate, verdict in zip(gates, verdicts, strict=True) if gate.confidence is not None
    ]
    success = ": ".join([f"all {len(verdicts)} gates passed", *(["; ".join(comparisons)] if comparisons else [])])
    return Decision(passed=not failed, reason="; ".join(failed) or success, verdicts=verdicts)


@dataclass(frozen=True)
class Measured:
    """The numbers that gates check."""

    challenger: Numbers
    rivals: Mapping[str, Numbers | None]
    evaluation: Mapping[str, Any]


def _judge(gate: Gate, measured: Measured) -> Verdict:
    if gate.slice is not None:
        return _check_worst_slice(gate, measured)
    if gate.metric in DISPARITIES:
        return _check_groups(gate, measured.evaluation.get("disparities", []))
    if gate.metric in BESIDE:
        return _check_cost_or_risk(gate, measured.evaluation)
    name, number = gate.metric, measured.challenger.get(gate.metric)
    if number is None:
        names = ", ".join(sorted(measured.challenger))
        return Verdict(name, None, None, passed=False, sentence=f"{name} was not measured; there are {names}")
    if gate.against is None:
        return _check_limit(gate, number)
    return _check_rival(gate, number, measured)


def _check_rival(gate: Gate, number: float, measured: Measured) -> Verdict:
    name, title = gate.metric, f"{gate.metric} against {gate.against}"
    first = gate.against == "champion" and measured.rivals["champion"] is None
    rival = "baseline" if first else str(gate.against)
    value = (measured.rivals[rival] or {}).get(name)
    if value is None:
        return Verdict(title, number, None, passed=False, sentence=f"{name} of the {rival} was not measured")
    whose = f"the {rival}'s {value:.4f}"
    if gate.confidence is not None:
        verdict = _check_interval(gate, title, number, whose, _interval(gate, rival, measured.evaluation))
    else:
        threshold = value - gate.by if name in LOWER_IS_BETTER else value + gate.by
        how = f", {abs(gate.by):g} {'better' if gate.by > 0 else 'worse at most'}" if gate.by else ""
        at_least = name not in LOWER_IS_BETTER
        verdict = _compare(title, name, number, threshold, at_least=at_least, limit=whose + how)
    return replace(verdict, sentence=f"{verdict.sentence}, as there is no champion yet") if first else verdict


def _interval(gate: Gate, rival: str, evaluation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    key = (gate.metric, rival, gate.confidence)
    intervals = evaluation.get("intervals", [])
    return next((item for item in intervals if (item["metric"], item["against"], item["confidence"]) == key), None)


def _check_interval(gate: Gate, title: str, number: float, whose: str, interval: Mapping[str, Any] | None) -> Verdict:
    """Check that the whole interval of the difference lies above `by`: an equal model is no better, and no worse."""
    comparison, confidence = f"{gate.metric} {number:.4f} against {whose}", f"{gate.confidence:.4g}"
    if interval is None:
        sentence = f"{comparison}: no interval at {confidence} was measured; train with this model.yaml"
        return Verdict(title, None, gate.by, passed=False, sentence=sentence)
    low, high, difference = (float(interval[name]) for name in ("low", "high", "difference"))
    passed = low > gate.by
    sentence = (
        f"{comparison}: better by {difference:+.4f}, {confidence} interval {low:+.4f} to {high:+.4f}, "
        f"{'all' if passed else 'not all'} above {gate.by:+g}"
    )
    return Verdict(title, low, gate.by, passed, sentence)


def _check_worst_slice(gate: Gate, measured: Measured) -> Verdict:
    """Return the verdict on the slice furthest on the wrong side, each slice judged like the whole holdout."""
    verdicts = []
    for part in measured.evaluation.get("slices", []):
        numbers = part["metrics"]
        if gate.metric in numbers.get("challenger", {}):
            rivals = {name: numbers.get(name) for name in ("baseline", "champion")}
            verdict = _judge(gate.model_copy(update={"slice": None}), Measured(numbers["challenger"], rivals, {}))
            verdicts.append((part, verdict))
    title = f"{gate.metric} on the worst slice"
    if not verdicts:
        sentence = f"no slice has enough rows to measure {gate.metric} on: fewer min_rows, or other slices, are needed"
        return Verdict(title, None, None, passed=False, sentence=sentence)
    part, worst = min(verdicts, key=lambda item: _margin(gate, item[1]))
    where = f"in the worst of {len(verdicts)} slices, {part['column']} {part['value']} ({part['rows']} rows)"
    return replace(worst, gate=f"{worst.gate} on the worst slice", sentence=f"{worst.sentence}, {where}")


def _margin(gate: Gate, verdict: Verdict) -> float:
    """Return how far a number lies on the right side of its limit; -inf where it was not measured."""
    if verdict.number is None or verdict.threshold is None:
        return -math.inf
    margin = verdict.number - verdict.threshold
    at_most = gate.max is not None or (gate.min is None and gate.metric in LOWER_IS_BETTER)
    return -math.inf if math.isnan(margin) else -margin if at_most else margin


def _check_groups(gate: Gate, disparities: Sequence[Mapping[str, Any]]) -> Verdict:
    """Return the verdict on the columns' largest difference, or smallest ratio."""
    measured = [item for item in disparities if item[gate.metric] is not None]
    limit = "min" if gate.min is not None else "max"
    title = f"{gate.metric} {limit}"
    if not measured or len(measured) < len(disparities):
        lacking = ", ".join(item["column"] for item in disparities if item not in measured) or "any column"
        sentence = f"{gate.metric} was not measured: {lacking} has fewer than two groups with enough rows for it"
        return Verdict(title, None, None, passed=False, sentence=sentence)
    worst = (min if limit == "min" else max)(measured, key=lambda item: float(item[gate.metric]))
    verdict = _check_limit(gate, float(worst[gate.metric]))
    return replace(verdict, sentence=f"{verdict.sentence}, between the groups of {worst['column']}")


def _check_cost_or_risk(gate: Gate, evaluation: Mapping[str, Any]) -> Verdict:
    """Return the verdict on latency, size, leakage or instability."""
    number = evaluation.get("beside", {}).get(gate.metric)
    if number is None:
        sentence = f"{gate.metric} was not measured: train with this model.yaml"
        return Verdict(f"{gate.metric} max", None, gate.max, passed=False, sentence=sentence)
    verdict = _check_limit(gate, float(number))
    if gate.metric != "leakage":
        return verdict
    return replace(verdict, sentence=f"{verdict.sentence}, which the feature {evaluation['leaking']!r} reaches alone")


def _check_limit(gate: Gate, number: float) -> Verdict:
    name = gate.metric
    if gate.min is not None:
        return _compare(f"{name} min", name, number, gate.min, at_least=True, limit="the minimum")
    return _compare(f"{name} max", name, number, float(gate.max or 0), at_least=False, limit="the maximum")


def _compare(gate: str, name: str, number: float, threshold: float, *, at_least: bool, limit: str) -> Verdict:
    passed = number >= threshold if at_least else number <= threshold
    sign = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}[at_least, passed]
    return Verdict(gate, number, threshold, passed, f"{name} {number:.4f} {sign} {threshold:.4f} ({limit})")
