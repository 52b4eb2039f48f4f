"""The hourly look, and ground truth when it comes."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from functions.monitor.monitoring import Monitoring
from penstock import events
from penstock.aws.cloudwatch import Metrics
from penstock.aws.s3_store import Store
from penstock.captures.pseudonyms import Pseudonyms
from penstock.contract.odcs import read_contract
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.settings import MonitorSettings, model_folder
from penstock.spec.model import read_model

settings = MonitorSettings.read()
folder = model_folder()
monitoring = Monitoring(
    spec=read_model(folder),
    contract=read_contract(folder),
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    metrics=Metrics(settings.namespace),
    pseudonyms=Pseudonyms.of_secret(settings.hash_secret) if settings.hash_secret else None,
)
logger = Logger(service="monitor")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """A schedule's event, an operator's empty one, or an object under `labels/`; the result out."""
    now = datetime.now(UTC)
    if events.ObjectCreated.matches(event):
        created = events.ObjectCreated.parse(event)
        result = monitoring.labels(created.key, created.version_id, now)
    else:
        result = monitoring.look(now)
    logger.info(result["sentence"], extra={"outcome": result["outcome"]})
    return result
