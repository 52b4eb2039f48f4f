"""First step of a run: uploads in, a dataset version out, and the training job's request."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.s3_store import Store
from penstock.contract.odcs import read_contract
from penstock.features.ingest import feature_ingest
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, timestamp
from penstock.pipeline.run_inputs import code_parts
from penstock.pipeline.validation import Validation
from penstock.settings import ValidateSettings, model_folder
from penstock.spec.model import read_model

settings = ValidateSettings.read()
folder = model_folder()
spec, contract = read_model(folder), read_contract(folder)
lake, store = Lake(settings.bucket, settings.model), Store(settings.bucket)
validation = Validation(
    spec=spec,
    contract=contract,
    lake=lake,
    store=store,
    ledger=Ledger.of(settings),
    code=settings.code,
    stage=settings.stage,
    sources=settings.sources,
    code_parts=code_parts(settings.model_code, settings.training_code, settings.packages),
    archive=settings.archive,
    image=settings.image,
    base=settings.base,
    features=feature_ingest(settings.stage, spec, contract, lake, store, settings.features_made),
)
logger = Logger(service="validate")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Validate a run's uploads.

    Args:
        event: `{"run"}`, with `"inspected": true` once a job has inspected the files.
        _context: unused.

    Returns:
        `{"outcome", "reason", "dataset", "job", …}`.
    """
    result = validation.run(event["run"], timestamp(datetime.now(UTC)), inspected=event.get("inspected", False))
    logger.info(result["reason"], extra={"run": event["run"], "outcome": result["outcome"]})
    return result
