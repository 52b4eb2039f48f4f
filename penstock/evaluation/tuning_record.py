"""What a run keeps of its search for params, and the sentence that tells it."""

from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]


def noted(found: Mapping[str, Any], training: Mapping[str, Any]) -> Record:
    """The ledger's step `tuning`.

    Args:
        found: of the tuning job: `job`, `trial` (the best one's name) and `trials`, SageMaker's counts.
        training: the best trial's `report.json`.
    """
    counts = dict(found.get("trials") or {})
    named = next(iter((training.get("validation") or {}).items()), (None, None))
    return {
        "job": found.get("job"),
        "trial": found.get("trial"),
        "trials": {
            "made": sum(counts.values()),
            "completed": counts.get("Completed", 0),
            "failed": counts.get("NonRetryableError", 0) + counts.get("RetryableError", 0),
            "stopped": counts.get("Stopped", 0),
        },
        "metric": named[0],
        "value": named[1],
        "params": dict(training.get("tuned") or {}),
    }


def sentence(step: Mapping[str, Any]) -> str:
    """`leaves=31, learning_rate=0.05: validation_log_loss 0.4123, the best of 4 trials, 1 failed`."""
    chosen = ", ".join(f"{name}={_brief(value)}" for name, value in step["params"].items())
    trials = step["trials"]
    failed = f", {trials['failed']} failed" if trials["failed"] else ""
    number = "" if step["value"] is None else f": {step['metric']} {step['value']:.4f}"
    return f"{chosen}{number}, the best of {trials['made']} trials{failed}"


def parameters(steps: Mapping[str, Any]) -> Record:
    """What a run was asked for, with the params that its search chose among `training.params`."""
    asked: Record = dict(steps.get("validate", {}).get("parameters") or {})
    chosen = steps.get("tuning", {}).get("params")
    if not chosen:
        return asked
    training = dict(asked.get("training") or {})
    return asked | {"training": training | {"params": {**(training.get("params") or {}), **chosen}}}


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
