"""The ledger's record of a run's hyperparameter search, and its sentence for people."""

from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]


def tuning_step(search: Mapping[str, Any], training: Mapping[str, Any]) -> Record:
    """Return the ledger's step `tuning`.

    Args:
        search: of the tuning job: `job`, `trial` (the best one's name) and `trials`, SageMaker's counts.
        training: the best trial's `report.json`.
    """
    counts = dict(search.get("trials") or {})
    metric, value = next(iter((training.get("validation") or {}).items()), (None, None))
    return {
        "job": search.get("job"),
        "trial": search.get("trial"),
        "trials": {
            "made": sum(counts.values()),
            "completed": counts.get("Completed", 0),
            "failed": counts.get("NonRetryableError", 0) + counts.get("RetryableError", 0),
            "stopped": counts.get("Stopped", 0),
        },
        "metric": metric,
        "value": value,
        "params": dict(training.get("tuned") or {}),
    }


def sentence(step: Mapping[str, Any]) -> str:
    """Return a sentence such as `leaves=31: validation_log_loss 0.4123, the best of 4 trials, 1 failed`."""
    chosen = ", ".join(f"{name}={_brief(value)}" for name, value in step["params"].items())
    trials = step["trials"]
    failed = f", {trials['failed']} failed" if trials["failed"] else ""
    number = "" if step["value"] is None else f": {step['metric']} {step['value']:.4f}"
    return f"{chosen}{number}, the best of {trials['made']} trials{failed}"


def parameters(steps: Mapping[str, Any]) -> Record:
    """Return a run's parameters, with the params that its search chose in `training.params`."""
    request: Record = dict(steps.get("validate", {}).get("parameters") or {})
    chosen = steps.get("tuning", {}).get("params")
    if not chosen:
        return request
    training = dict(request.get("training") or {})
    return request | {"training": training | {"params": {**(training.get("params") or {}), **chosen}}}


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
