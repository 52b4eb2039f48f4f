"""Opens the batch of an uploaded file; closes the batch of an execution that ended without recording it."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.executions import Executions
from penstock.batch.opening import BatchOpening
from penstock.events import ExecutionEnded, ObjectCreated
from penstock.ledger.ledger import Ledger, timestamp
from penstock.settings import StartBatchSettings

settings = StartBatchSettings.read()
opening = BatchOpening(model=settings.model, ledger=Ledger.of(settings), executions=Executions(settings.machine))
logger = Logger(service="start_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Open or close a batch; reply `{"said": sentence}`, and log the sentence."""
    at = timestamp(datetime.now(UTC))
    if ObjectCreated.matches(event):
        result = opening.open(ObjectCreated.parse(event), at)
    else:
        result = opening.close(ExecutionEnded.parse(event), at)
    if result.failed_batch:
        logger.warning(result.sentence, extra={"batch": result.failed_batch})
    logger.info(result.sentence)
    return {"said": result.sentence}
