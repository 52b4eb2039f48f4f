"""First step of a batch: a file in, parts out that are still to be scored."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.plan_batch.planning import Planning
from penstock.aws.s3_store import Store
from penstock.contract.odcs import read_contract
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.settings import PlanBatchSettings, model_folder

settings = PlanBatchSettings.read()
planning = Planning(
    key=read_contract(model_folder()).key,
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    part_rows=int(settings.part_rows),
)
logger = Logger(service="plan_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"batch"}` in; `{"outcome", "reason", "items"}` out, an item for each part that has no scores yet."""
    result = planning.run(event["batch"])
    logger.info(result["reason"], extra={"batch": event["batch"], "outcome": result["outcome"]})
    return result
