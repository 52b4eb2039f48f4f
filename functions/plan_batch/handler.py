"""First step of a batch: checks the file and splits it into parts."""

from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.s3_store import Store
from penstock.batch.planner import Planner
from penstock.contract.odcs import read_contract
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.settings import PlanBatchSettings, model_folder

settings = PlanBatchSettings.read()
planner = Planner(
    key=read_contract(model_folder()).key,
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    part_rows=int(settings.part_rows),
)
logger = Logger(service="plan_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Plan `{"batch"}`; reply `{"outcome", "reason", "items"}` with an item for each part that has no scores yet."""
    result = planner.plan(event["batch"])
    logger.info(result["reason"], extra={"batch": event["batch"], "outcome": result["outcome"]})
    return result
