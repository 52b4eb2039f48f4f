"""Gates: an evaluation and the spec's conditions give a decision with reasons.

Pure: numbers in, a decision out, the same on the laptop and in the cloud.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.spec import Gate

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "pinball_10", "pinball_90"})
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


def decide(gates: Sequence[Gate], challenger: Numbers, *, baseline: Numbers, champion: Numbers | None) -> Decision:
    """All gates must pass. A gate against the champion passes when no model is live yet."""
    verdicts = tuple(_judge(gate, challenger, {"baseline": baseline, "champion": champion}) for gate in gates)
    failed = [verdict.sentence for verdict in verdicts if not verdict.passed]
    reason = "; ".join(failed) if failed else f"all {len(verdicts)} gates passed"
    return Decision(passed=not failed, reason=reason, verdicts=verdicts)


def _judge(gate: Gate, challenger: Numbers, rivals: Mapping[str, Numbers | None]) -> Verdict:
    name, number = gate.metric, challenger.get(gate.metric)
    if number is None:
        known = ", ".join(sorted(challenger))
        return Verdict(name, None, None, passed=False, sentence=f"{name} was not measured; there are {known}")
    if gate.min is not None:
        return _compared(f"{name} min", name, number, gate.min, at_least=True, what="the minimum")
    if gate.max is not None:
        return _compared(f"{name} max", name, number, gate.max, at_least=False, what="the maximum")
    rival = rivals[str(gate.against)]
    title = f"{name} against {gate.against}"
    if rival is None:
        return Verdict(
            title, number, None, passed=True, sentence=f"{name} {number:.4f}: no {gate.against} yet to compare with"
        )
    if (value := rival.get(name)) is None:
        return Verdict(title, number, None, passed=False, sentence=f"{name} of the {gate.against} was not measured")
    lower = name in LOWER_IS_BETTER
    threshold = value - gate.by if lower else value + gate.by
    return _compared(title, name, number, threshold, at_least=not lower, what=_rival(str(gate.against), value, gate.by))


def _rival(against: str, value: float, by: float) -> str:
    if by == 0:
        return f"the {against}'s {value:.4f}"
    return f"the {against}'s {value:.4f}, {abs(by):g} {'better' if by > 0 else 'worse at most'}"


def _compared(gate: str, name: str, number: float, threshold: float, *, at_least: bool, what: str) -> Verdict:
    passed = number >= threshold if at_least else number <= threshold
    sign = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}[at_least, passed]
    return Verdict(gate, number, threshold, passed, f"{name} {number:.4f} {sign} {threshold:.4f} ({what})")
