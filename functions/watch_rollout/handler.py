"""One check of a rollout's new version, while it takes a share of the traffic or answers as a shadow."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.lambda_version import PublishedVersions
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.release.rollout_watch import Look, RolloutWatch
from penstock.settings import WatchRolloutSettings, model_folder
from penstock.spec.model import read_model

settings = WatchRolloutSettings.read()
versions = PublishedVersions(settings.function)
watch = RolloutWatch(
    spec=read_model(model_folder()),
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    invoke=versions.try_invoke,
)
logger = Logger(service="watch_rollout")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Compare the new version with the live one.

    Args:
        event: `{"rollout", "lambda_version", "weight", "since", "ends"}`, the weight of a shadow being 0.
        _context: unused.

    Returns:
        `{"verdict": fine | bad | not judged, "reason"}`.
    """
    look = Look(
        rollout=event["rollout"],
        lambda_version=str(event["lambda_version"]),
        weight=int(event["weight"]),
        since=event["since"],
        ends=event["ends"],
    )
    finding = watch.judge(look, datetime.now(UTC))
    logger.info(finding.reason, extra={"rollout": look.rollout, "verdict": finding.verdict})
    return {"verdict": finding.verdict, "reason": finding.reason}
