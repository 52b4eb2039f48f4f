"""Gates: decide by the spec's conditions on an evaluation, with a reason for each verdict.

The functions are pure, so that the decision is the same on the laptop and in the cloud.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.spec.model import BESIDE, DISPARITIES, LOWER_IS_BETTER, Gate

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Verdict:
    """One gate's outcome: the number, its threshold, and a sentence."""

    gate: str
    number: float | None
    threshold: float | None
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Decision:
    """Whether a challenger may be registered, and why."""

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
    """Judge every gate; all must pass. Without a live model, gates against the champion compare with the baseline.

    Args:
        gates: the model's gates.
        challenger: its metrics.
        baseline: the naive baseline's metrics.
        champion: the live model's metrics; None if there is none to compare with.
        evaluation: the whole document, for gates on other measures (`intervals`, …).
    """
    measurements = Measurements(challenger, {"baseline": baseline, "champion": champion}, evaluation or {})
    verdicts = tuple(_verdict(gate, measurements) for gate in gates)
    failures = [verdict.sentence for verdict in verdicts if not verdict.passed]
    # The verdicts have the sentences of all gates; of those that passed, the reason repeats only the intervals.
    pairs = zip(gates, verdicts, strict=True)
    comparisons = [verdict.sentence for gate, verdict in pairs if gate.confidence is not None]
    success = ": ".join([f"all {len(verdicts)} gates passed", *(["; ".join(comparisons)] if comparisons else [])])
    return Decision(passed=not failures, reason="; ".join(failures) or success, verdicts=verdicts)


@dataclass(frozen=True)
class Measurements:
    """The numbers that gates compare."""

    challenger: Numbers
    rivals: Mapping[str, Numbers | None]
    evaluation: Mapping[str, Any]


def _verdict(gate: Gate, measurements: Measurements) -> Verdict:
    if gate.slice is not None:
        return _verdict_on_worst_slice(gate, measurements)
    if gate.metric in DISPARITIES:
        return _verdict_on_groups(gate, measurements.evaluation.get("disparities", []))
    if gate.metric in BESIDE:
        return _verdict_on_extra_measure(gate, measurements.evaluation)
    name, number = gate.metric, measurements.challenger.get(gate.metric)
    if number is None:
        available = ", ".join(sorted(measurements.challenger))
        return Verdict(name, None, None, passed=False, sentence=f"{name} was not measured; there are {available}")
    if gate.against is None:
        return _compare_with_limit(gate, number)
    return _verdict_against_rival(gate, number, measurements)


def _verdict_against_rival(gate: Gate, number: float, measurements: Measurements) -> Verdict:
    name, title = gate.metric, f"{gate.metric} against {gate.against}"
    no_champion = gate.against == "champion" and measurements.rivals["champion"] is None
    rival = "baseline" if no_champion else str(gate.against)
    value = (measurements.rivals[rival] or {}).get(name)
    if value is None:
        return Verdict(title, number, None, passed=False, sentence=f"{name} of the {rival} was not measured")
    whose = f"the {rival}'s {value:.4f}"
    if gate.confidence is not None:
        verdict = _with_confidence(gate, title, number, whose, _interval(gate, rival, measurements.evaluation))
    else:
        threshold = value - gate.by if name in LOWER_IS_BETTER else value + gate.by
        how = f", {abs(gate.by):g} {'better' if gate.by > 0 else 'worse at most'}" if gate.by else ""
        verdict = _compare(title, name, number, threshold, at_least=name not in LOWER_IS_BETTER, origin=whose + how)
    return replace(verdict, sentence=f"{verdict.sentence}, as there is no champion yet") if no_champion else verdict


def _interval(gate: Gate, rival: str, evaluation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    request = (gate.metric, rival, gate.confidence)
    intervals = evaluation.get("intervals", [])
    return next((item for item in intervals if (item["metric"], item["against"], item["confidence"]) == request), None)


def _with_confidence(gate: Gate, title: str, number: float, whose: str, interval: Mapping[str, Any] | None) -> Verdict:
    """Require the whole interval above `by`, so that an equal model is neither better nor worse."""
    comparison, level = f"{gate.metric} {number:.4f} against {whose}", f"{gate.confidence:.4g}"
    if interval is None:
        sentence = f"{comparison}: no interval at {level} was measured; train with this model.yaml"
        return Verdict(title, None, gate.by, passed=False, sentence=sentence)
    low, high, difference = (float(interval[name]) for name in ("low", "high", "difference"))
    passed = low > gate.by
    sentence = (
        f"{comparison}: better by {difference:+.4f}, {level} interval {low:+.4f} to {high:+.4f}, "
        f"{'all' if passed else 'not all'} above {gate.by:+g}"
    )
    return Verdict(title, low, gate.by, passed, sentence)


def _verdict_on_worst_slice(gate: Gate, measurements: Measurements) -> Verdict:
    """Judge each slice like the whole holdout and return the verdict with the smallest margin."""
    verdicts = []
    for part in measurements.evaluation.get("slices", []):
        metrics = part["metrics"]
        if gate.metric in metrics.get("challenger", {}):
            rivals = {name: metrics.get(name) for name in ("baseline", "champion")}
            verdict = _verdict(gate.model_copy(update={"slice": None}), Measurements(metrics["challenger"], rivals, {}))
            verdicts.append((part, verdict))
    title = f"{gate.metric} on the worst slice"
    if not verdicts:
        message = f"no slice has enough rows to measure {gate.metric} on: fewer min_rows, or other slices, are needed"
        return Verdict(title, None, None, passed=False, sentence=message)
    part, worst = min(verdicts, key=lambda item: _margin(gate, item[1]))
    where = f"in the worst of {len(verdicts)} slices, {part['column']} {part['value']} ({part['rows']} rows)"
    return replace(worst, gate=f"{worst.gate} on the worst slice", sentence=f"{worst.sentence}, {where}")


def _margin(gate: Gate, verdict: Verdict) -> float:
    """Return how far a number lies on the passing side of its limit; minus infinity if it was not measured."""
    if verdict.number is None or verdict.threshold is None:
        return -math.inf
    margin = verdict.number - verdict.threshold
    at_most = gate.max is not None or (gate.min is None and gate.metric in LOWER_IS_BETTER)
    return -math.inf if math.isnan(margin) else -margin if at_most else margin


def _verdict_on_groups(gate: Gate, disparities: Sequence[Mapping[str, Any]]) -> Verdict:
    """Judge the columns' largest difference, or their smallest ratio."""
    measured = [item for item in disparities if item[gate.metric] is not None]
    limit = "min" if gate.min is not None else "max"
    title = f"{gate.metric} {limit}"
    if not measured or len(measured) < len(disparities):
        lacking = ", ".join(item["column"] for item in disparities if item not in measured) or "any column"
        message = f"{gate.metric} was not measured: {lacking} has fewer than two groups with enough rows for it"
        return Verdict(title, None, None, passed=False, sentence=message)
    worst = (min if limit == "min" else max)(measured, key=lambda item: float(item[gate.metric]))
    verdict = _compare_with_limit(gate, float(worst[gate.metric]))
    return replace(verdict, sentence=f"{verdict.sentence}, between the groups of {worst['column']}")


def _verdict_on_extra_measure(gate: Gate, evaluation: Mapping[str, Any]) -> Verdict:
    number = evaluation.get("beside", {}).get(gate.metric)
    if number is None:
        message = f"{gate.metric} was not measured: train with this model.yaml"
        return Verdict(f"{gate.metric} max", None, gate.max, passed=False, sentence=message)
    verdict = _compare_with_limit(gate, float(number))
    if gate.metric != "leakage":
        return verdict
    return replace(verdict, sentence=f"{verdict.sentence}, which the feature {evaluation['leaking']!r} reaches alone")


def _compare_with_limit(gate: Gate, number: float) -> Verdict:
    name = gate.metric
    if gate.min is not None:
        return _compare(f"{name} min", name, number, gate.min, at_least=True, origin="the minimum")
    return _compare(f"{name} max", name, number, float(gate.max or 0), at_least=False, origin="the maximum")


def _compare(gate: str, name: str, number: float, threshold: float, *, at_least: bool, origin: str) -> Verdict:
    passed = number >= threshold if at_least else number <= threshold
    sign = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}[at_least, passed]
    return Verdict(gate, number, threshold, passed, f"{name} {number:.4f} {sign} {threshold:.4f} ({origin})")
