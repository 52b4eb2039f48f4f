"""Last step of a run: record its ending with a sentence, and notify people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.executions import error_sentence
from penstock.aws.notifier import Notifier
from penstock.ledger.ledger import Ledger
from penstock.pipeline.run_ending import RunEnding, failure_reason
from penstock.settings import EndRunSettings

settings = EndRunSettings.read()
ending = RunEnding(
    model=settings.model, stage=settings.stage, ledger=Ledger.of(settings), notifier=Notifier(settings.topic)
)
logger = Logger(service="end_run")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Record a run's ending.

    Args:
        event: `{"run", "outcome", "reason"}` or `{"run", "outcome": "failed", "step", "error"}`.
        _context: unused.

    Returns:
        `{"run", "outcome", "reason"}`.
    """
    run, outcome = event["run"], event["outcome"]
    error = error_sentence(event.get("error") or {})
    reason = event.get("reason") or failure_reason(event.get("step", "a step"), error)
    ending.record(run, outcome, reason, datetime.now(UTC))
    logger.info(reason, extra={"run": run, "outcome": outcome})
    return {"run": run, "outcome": outcome, "reason": reason}
