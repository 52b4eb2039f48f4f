"""Smoke test of a published version, before it takes traffic."""

from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.lambda_version import PublishedVersions
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.release.smoke_test import SmokeTest
from penstock.settings import PredictSettings, SmokeTestSettings

settings = SmokeTestSettings.read()
versions = PublishedVersions(settings.function, attempts=2)
smoke_test = SmokeTest(
    ledger=Ledger.of(settings),
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    invoke=versions.invoke,
)
logger = Logger(service="smoke_test")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Compare a published version with the golden examples.

    Args:
        event: `{"package", "lambda_version", "environment"}`.
        _context: unused.

    Returns:
        `{"examples": count}`.

    Raises:
        SmokeTestFailed: as `SmokeTest.run`.
    """
    max_rows = int(event["environment"][PredictSettings.variable("max_rows")])
    examples = smoke_test.run(int(event["package"]), str(event["lambda_version"]), max_rows)
    logger.info("golden examples agree", extra={"examples": examples})
    return {"examples": examples}
