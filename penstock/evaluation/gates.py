"""Gates: an evaluation and the spec's conditions give a decision with reasons.

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
    """One gate's outcome: the number, what it was held against, and a sentence."""

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
    """All gates must pass. While no model is live, a gate against the champion is held against the baseline.

    Args:
        gates: of the model.
        challenger: its metrics.
        baseline: the naive baseline's.
        champion: the live model's, if there is one that can be compared with.
        evaluation: the document that they are from, for what gates ask beside them (`intervals`, …).
    """
    measured = Measured(challenger, {"baseline": baseline, "champion": champion}, evaluation or {})
    verdicts = tuple(_judge(gate, measured) for gate in gates)
    failed = [verdict.sentence for verdict in verdicts if not verdict.passed]
    # What passed is many sentences, which the verdicts have; how sure a comparison was belongs to the decision.
    sure = [verdict.sentence for gate, verdict in zip(gates, verdicts, strict=True) if gate.confidence is not None]
    passed = ": ".join([f"all {len(verdicts)} gates passed", *(["; ".join(sure)] if sure else [])])
    return Decision(passed=not failed, reason="; ".join(failed) or passed, verdicts=verdicts)


@dataclass(frozen=True)
class Measured:
    """What gates are held against."""

    challenger: Numbers
    rivals: Mapping[str, Numbers | None]
    evaluation: Mapping[str, Any]


def _judge(gate: Gate, measured: Measured) -> Verdict:
    if gate.slice is not None:
        return _on_worst_slice(gate, measured)
    if gate.metric in DISPARITIES:
        return _between_groups(gate, measured.evaluation.get("disparities", []))
    if gate.metric in BESIDE:
        return _beside(gate, measured.evaluation)
    name, number = gate.metric, measured.challenger.get(gate.metric)
    if number is None:
        known = ", ".join(sorted(measured.challenger))
        return Verdict(name, None, None, passed=False, sentence=f"{name} was not measured; there are {known}")
    if gate.against is None:
        return _limited(gate, number)
    return _against(gate, number, measured)


def _against(gate: Gate, number: float, measured: Measured) -> Verdict:
    name, title = gate.metric, f"{gate.metric} against {gate.against}"
    first = gate.against == "champion" and measured.rivals["champion"] is None
    rival = "baseline" if first else str(gate.against)
    value = (measured.rivals[rival] or {}).get(name)
    if value is None:
        return Verdict(title, number, None, passed=False, sentence=f"{name} of the {rival} was not measured")
    whose = f"the {rival}'s {value:.4f}"
    if gate.confidence is not None:
        found = _surely(gate, title, number, whose, _interval(gate, rival, measured.evaluation))
    else:
        threshold = value - gate.by if name in LOWER_IS_BETTER else value + gate.by
        how = f", {abs(gate.by):g} {'better' if gate.by > 0 else 'worse at most'}" if gate.by else ""
        found = _compared(title, name, number, threshold, at_least=name not in LOWER_IS_BETTER, what=whose + how)
    return replace(found, sentence=f"{found.sentence}, as there is no champion yet") if first else found


def _interval(gate: Gate, rival: str, evaluation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    asked = (gate.metric, rival, gate.confidence)
    found = evaluation.get("intervals", [])
    return next((item for item in found if (item["metric"], item["against"], item["confidence"]) == asked), None)


def _surely(gate: Gate, title: str, number: float, whose: str, interval: Mapping[str, Any] | None) -> Verdict:
    """The whole interval of the difference must lie above `by`; so an equal model is no better, and not worse."""
    said, sure = f"{gate.metric} {number:.4f} against {whose}", f"{gate.confidence:.4g}"
    if interval is None:
        sentence = f"{said}: no interval at {sure} was measured; train with this model.yaml"
        return Verdict(title, None, gate.by, passed=False, sentence=sentence)
    low, high, difference = (float(interval[name]) for name in ("low", "high", "difference"))
    passed = low > gate.by
    sentence = (
        f"{said}: better by {difference:+.4f}, {sure} interval {low:+.4f} to {high:+.4f}, "
        f"{'all' if passed else 'not all'} above {gate.by:+g}"
    )
    return Verdict(title, low, gate.by, passed, sentence)


def _on_worst_slice(gate: Gate, measured: Measured) -> Verdict:
    """The verdict on the slice that is furthest on the wrong side, each slice judged like the whole holdout."""
    found = []
    for part in measured.evaluation.get("slices", []):
        numbers = part["metrics"]
        if gate.metric in numbers.get("challenger", {}):
            rivals = {name: numbers.get(name) for name in ("baseline", "champion")}
            verdict = _judge(gate.model_copy(update={"slice": None}), Measured(numbers["challenger"], rivals, {}))
            found.append((part, verdict))
    title = f"{gate.metric} on the worst slice"
    if not found:
        said = f"no slice has enough rows to measure {gate.metric} on: fewer min_rows, or other slices, are needed"
        return Verdict(title, None, None, passed=False, sentence=said)
    part, worst = min(found, key=lambda item: _room(gate, item[1]))
    where = f"in the worst of {len(found)} slices, {part['column']} {part['value']} ({part['rows']} rows)"
    return replace(worst, gate=f"{worst.gate} on the worst slice", sentence=f"{worst.sentence}, {where}")


def _room(gate: Gate, verdict: Verdict) -> float:
    """How far a number lies on the right side of its limit; what was not measured lies furthest off."""
    if verdict.number is None or verdict.threshold is None:
        return -math.inf
    room = verdict.number - verdict.threshold
    at_most = gate.max is not None or (gate.min is None and gate.metric in LOWER_IS_BETTER)
    return -math.inf if math.isnan(room) else -room if at_most else room


def _between_groups(gate: Gate, disparities: Sequence[Mapping[str, Any]]) -> Verdict:
    """The verdict on the columns' largest difference, or smallest ratio."""
    known = [item for item in disparities if item[gate.metric] is not None]
    limit = "min" if gate.min is not None else "max"
    title = f"{gate.metric} {limit}"
    if not known or len(known) < len(disparities):
        lacking = ", ".join(item["column"] for item in disparities if item not in known) or "any column"
        said = f"{gate.metric} was not measured: {lacking} has fewer than two groups with enough rows for it"
        return Verdict(title, None, None, passed=False, sentence=said)
    worst = (min if limit == "min" else max)(known, key=lambda item: float(item[gate.metric]))
    found = _limited(gate, float(worst[gate.metric]))
    return replace(found, sentence=f"{found.sentence}, between the groups of {worst['column']}")


def _beside(gate: Gate, evaluation: Mapping[str, Any]) -> Verdict:
    number = evaluation.get("beside", {}).get(gate.metric)
    if number is None:
        said = f"{gate.metric} was not measured: train with this model.yaml"
        return Verdict(f"{gate.metric} max", None, gate.max, passed=False, sentence=said)
    found = _limited(gate, float(number))
    if gate.metric != "leakage":
        return found
    return replace(found, sentence=f"{found.sentence}, which the feature {evaluation['leaking']!r} reaches alone")


def _limited(gate: Gate, number: float) -> Verdict:
    name = gate.metric
    if gate.min is not None:
        return _compared(f"{name} min", name, number, gate.min, at_least=True, what="the minimum")
    return _compared(f"{name} max", name, number, float(gate.max or 0), at_least=False, what="the maximum")


def _compared(gate: str, name: str, number: float, threshold: float, *, at_least: bool, what: str) -> Verdict:
    passed = number >= threshold if at_least else number <= threshold
    sign = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}[at_least, passed]
    return Verdict(gate, number, threshold, passed, f"{name} {number:.4f} {sign} {threshold:.4f} ({what})")
