"""Last step of a rollout: record in ledger and registry what serves now, and notify people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.executions import error_sentence
from penstock.aws.model_registry import Registry
from penstock.aws.notifier import Notifier
from penstock.ledger.ledger import Ledger
from penstock.release.ending import Ending, LastStep
from penstock.release.endpoints import Endpoints
from penstock.release.live_service import Service
from penstock.settings import EndRolloutSettings, model_folder
from penstock.spec.model import read_model

settings = EndRolloutSettings.read()
ending = Ending(
    spec=read_model(model_folder()),
    ledger=Ledger.of(settings),
    registry_of=Registry.of_package,
    notifier=Notifier(settings.topic),
    service=Service(settings.function),
    endpoints=Endpoints(settings.stage, settings.model),
)
logger = Logger(service="end_rollout")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Record a rollout's ending.

    Args:
        event: `{"rollout", "outcome", "lambda_version", …}`, with `endpoint` and `saw` where it is live, else `error`;
            the number of the Lambda version is empty where none was published.
        _context: unused.

    Returns:
        `{"rollout", "outcome", "reason"}`.
    """
    rollout, outcome = event["rollout"], event["outcome"]
    step = LastStep(
        rollout=rollout,
        outcome=outcome,
        lambda_version=str(event.get("lambda_version") or ""),
        endpoint=event.get("endpoint") or "",
        observation=event.get("saw") or "",
        error=error_sentence(event.get("error") or {}),
    )
    closing = ending.record(step, datetime.now(UTC))
    for failure in closing.failures:
        logger.warning(failure, extra={"rollout": rollout})
    deleted = {"endpoints": closing.endpoints, "versions": closing.versions}
    logger.info(closing.reason, extra={"rollout": rollout, "outcome": outcome, "deleted": deleted})
    return {"rollout": rollout, "outcome": outcome, "reason": closing.reason}
