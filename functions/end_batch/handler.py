"""Last step of a batch: records its ending and notifies people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.notifier import Notifier
from penstock.batch.ending import BatchEnding
from penstock.ledger.ledger import Ledger, timestamp
from penstock.settings import EndBatchSettings

settings = EndBatchSettings.read()
ending = BatchEnding(model=settings.model, ledger=Ledger.of(settings), notifier=Notifier(settings.topic))
logger = Logger(service="end_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """End the batch of an event (see `BatchEnding.end`); reply `{"batch", "outcome", "reason"}`."""
    result = ending.end(event, timestamp(datetime.now(UTC)))
    logger.info(result["reason"], extra={"batch": result["batch"], "outcome": result["outcome"]})
    return result
