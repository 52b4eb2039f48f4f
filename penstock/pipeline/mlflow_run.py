"""Conversion of a judged run to MLflow: parameters, metrics and tags in the form that MLflow accepts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.evaluation.gates import Decision

_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")
TAG_LIMIT = 5000
"""Characters of a tag's value, as MLflow's strictest store takes it."""
SIDES = {"challenger": "", "baseline": "baseline.", "champion": "champion."}
"""The prefix of each model's metric names: the challenger's are the run's own."""


@dataclass(frozen=True, kw_only=True)
class MlflowRun:
    """A run in MLflow's terms."""

    run: str
    started: int
    """When it was opened, in milliseconds since 1970."""
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def convert_parameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Convert `training.params` of the specification; a value that is no text is written as JSON."""
    return {_name(name): value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def convert_metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Collect every number of challenger, baseline and champion."""
    return {
        _name(f"{prefix}{name}"): float(value)
        for side, prefix in SIDES.items()
        for name, value in (evaluation.get(side) or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def decision_tags(decision: Decision, about: Mapping[str, str]) -> dict[str, str]:
    """Return tags that identify the run, and tags for the decision and each gate's verdict."""
    outcome = {"passed": str(decision.passed).lower(), "reason": decision.reason}
    verdicts = {
        f"gate.{verdict.gate}": f"{'passed' if verdict.passed else 'failed'}: {verdict.sentence}"
        for verdict in decision.verdicts
    }
    return prefix_tags({**about, **outcome, **verdicts})


def prefix_tags(values: Mapping[str, str]) -> dict[str, str]:
    """Prefix names with `penstock.`, leave out empty values and cut long ones."""
    return {_name(f"penstock.{name}"): value[:TAG_LIMIT] for name, value in values.items() if value}


def _name(text: str) -> str:
    """Return a name that MLflow accepts: letters, digits and a few signs, at most 250 characters."""
    return _NOT_IN_A_NAME.sub("_", text)[:250]
