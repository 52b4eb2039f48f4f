"""What of a judged run is logged to MLflow: parameters, metrics and tags, as MLflow takes them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.evaluation.gates import Decision

_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")
MOST_CHARACTERS = 5000
"""Of a tag's value: what MLflow's strictest store takes."""
SIDES = {"challenger": "", "baseline": "baseline.", "champion": "champion."}
"""Who was measured, and what its metrics' names begin with: the challenger's are the run's own."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A run of ours, as one of MLflow's."""

    run: str
    started: int
    """When it was opened, in milliseconds since 1970."""
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def parameters(given: Mapping[str, Any]) -> dict[str, str]:
    """`training.params` of the specification; what is no text is written as JSON."""
    return {_name(name): value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Every number of challenger, baseline and champion."""
    return {
        _name(f"{begins}{name}"): float(value)
        for side, begins in SIDES.items()
        for name, value in (evaluation.get(side) or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def tags(decision: Decision, about: Mapping[str, str]) -> dict[str, str]:
    """What identifies the run, the decision on it, and each gate's verdict."""
    said = {"passed": str(decision.passed).lower(), "reason": decision.reason}
    verdicts = {
        f"gate.{verdict.gate}": f"{'passed' if verdict.passed else 'failed'}: {verdict.sentence}"
        for verdict in decision.verdicts
    }
    return named({**about, **said, **verdicts})


def named(values: Mapping[str, str]) -> dict[str, str]:
    """As tags: `penstock.` before each name, and no value that is empty or too long."""
    return {_name(f"penstock.{name}"): value[:MOST_CHARACTERS] for name, value in values.items() if value}


def _name(said: str) -> str:
    """As MLflow takes it: letters, digits and a few signs, at most 250 of them."""
    return _NOT_IN_A_NAME.sub("_", said)[:250]
