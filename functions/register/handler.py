"""Judge a training job's artifact by the gates, and register what passes."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.model_registry import Registry
from penstock.aws.s3_store import Store
from penstock.contract.odcs import read_contract
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, timestamp
from penstock.pipeline.registration import Registration
from penstock.settings import RegisterSettings, model_folder
from penstock.spec.model import read_model

settings = RegisterSettings.read()
registration = Registration(
    stage=settings.stage,
    spec=read_model(model_folder()),
    contract=read_contract(model_folder()),
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    registry=Registry(settings.group),
)
logger = Logger(service="register")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Judge and register a run's artifact.

    Args:
        event: `{"run", "dataset", "artifact", "image"}`, the artifact an S3 URI; after a search for params also
            `"tuning"`: the tuning job, its best trial and its counts.
        _context: unused.

    Returns:
        `{"outcome", "reason", "version"}`.
    """
    result = registration.run(
        event["run"],
        event["dataset"],
        event["artifact"],
        event["image"],
        timestamp(datetime.now(UTC)),
        event.get("tuning"),
    )
    logger.info(result["reason"], extra={"run": event["run"], "outcome": result["outcome"]})
    return result
