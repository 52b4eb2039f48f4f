"""Checks drift every hour, and joins ground truth when it is uploaded."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.cloudwatch import Metrics
from penstock.aws.s3_store import Store
from penstock.captures.pseudonyms import Pseudonyms
from penstock.contract.odcs import read_contract
from penstock.events import ObjectCreated
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.monitoring.drift_check import DriftCheck
from penstock.monitoring.ground_truth import GroundTruth
from penstock.settings import MonitorSettings, model_folder
from penstock.spec.model import read_model

settings = MonitorSettings.read()
folder = model_folder()
drift_check = DriftCheck(
    spec=read_model(folder),
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    metrics=Metrics(settings.namespace),
)
ground_truth = GroundTruth(
    spec=drift_check.spec,
    contract=read_contract(folder),
    lake=drift_check.lake,
    store=drift_check.store,
    ledger=drift_check.ledger,
    metrics=drift_check.metrics,
    pseudonyms=Pseudonyms.of_secret(settings.hash_secret) if settings.hash_secret else None,
)
logger = Logger(service="monitor")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Join the labels of an object under `labels/`; check drift for any other event. Reply the result."""
    now = datetime.now(UTC)
    if ObjectCreated.matches(event):
        created = ObjectCreated.parse(event)
        result = ground_truth.join(created.key, created.version_id, now)
    else:
        result = drift_check.run(now)
    logger.info(result["sentence"], extra={"outcome": result["outcome"]})
    return result
