"""Third step of a batch: the output and the errors, put together of the parts."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.join_batch.joining import Joining
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.settings import JoinBatchSettings

settings = JoinBatchSettings.read()
joining = Joining(lake=Lake(settings.bucket, settings.model), store=Store(settings.bucket), ledger=Ledger.of(settings))
logger = Logger(service="join_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"batch"}` in; `{"outcome", "reason", "scored", "errors"}` out."""
    result = joining.run(event["batch"])
    logger.info(result["reason"], extra={"batch": event["batch"], "outcome": result["outcome"]})
    return result
