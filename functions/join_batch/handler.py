"""Third step of a batch: joins the parts' scores into the output and the errors."""

from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.s3_store import Store
from penstock.batch.joiner import Joiner
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.settings import JoinBatchSettings

settings = JoinBatchSettings.read()
joiner = Joiner(lake=Lake(settings.bucket, settings.model), store=Store(settings.bucket), ledger=Ledger.of(settings))
logger = Logger(service="join_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Join the parts of `{"batch"}`; reply `{"outcome", "reason", "scored", "errors"}`."""
    result = joiner.join(event["batch"])
    logger.info(result["reason"], extra={"batch": event["batch"], "outcome": result["outcome"]})
    return result
