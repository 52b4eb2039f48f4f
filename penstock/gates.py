"""Gates: an evaluation and the spec's conditions give a decision with reasons.

Pure: numbers in, a decision out, the same on the laptop and in the cloud.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.spec import LOWER_IS_BETTER, Gate

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
    name, number = gate.metric, measured.challenger.get(gate.metric)
    if number is None:
        known = ", ".join(sorted(measured.challenger))
        return Verdict(name, None, None, passed=False, sentence=f"{name} was not measured; there are {known}")
    if gate.min is not None:
        return _compared(f"{name} min", name, number, gate.min, at_least=True, what="the minimum")
    if gate.max is not None:
        return _compared(f"{name} max", name, number, gate.max, at_least=False, what="the maximum")
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


def _compared(gate: str, name: str, number: float, threshold: float, *, at_least: bool, what: str) -> Verdict:
    passed = number >= threshold if at_least else number <= threshold
    sign = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}[at_least, passed]
    return Verdict(gate, number, threshold, passed, f"{name} {number:.4f} {sign} {threshold:.4f} ({what})")
