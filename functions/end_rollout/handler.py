"""Last step of a rollout: what serves now, in the ledger, in the registry and to the people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.executions import words
from penstock.ledger import Ledger, timestamp
from penstock.notify import Notifier
from penstock.registry import PENDING, Registry, group_of
from penstock.settings import EndRolloutSettings

settings = EndRolloutSettings.read()
ledger = Ledger.of(settings)
notifier = Notifier(settings.topic)
logger = Logger(service="end_rollout")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"rollout", "outcome", "lambda_version"}` in, or with another outcome than "live" `error`; the ending out."""
    rollout, outcome = ledger.rollout(event["rollout"]), event["outcome"]
    version = rollout["version"]
    live = None
    reason = f"version {version} serves all traffic"
    if outcome == "live":
        reason += " with new code" if "new_code" in rollout else ""
        live = {"version": version, "sha256": rollout["sha256"], "lambda_version": str(event["lambda_version"])}
    else:
        what = "was taken back" if outcome == "rolled back" else "did not go live"
        subject = f"new code of version {version}" if "new_code" in rollout else f"version {version}"
        reason = f"{subject} {what}: {words(event.get('error') or {})}"
        # Of new code the model stays approved: it serves with the code that it had.
        if (
            rollout["state"] == "open" and "new_code" not in rollout
        ):  # a repeated step takes back nothing that was approved since
            _set_back(rollout["arn"], reason)
    if ledger.end_rollout(event["rollout"], outcome, reason, timestamp(datetime.now(UTC)), live):
        notifier.tell(f"{settings.model}: version {version} {outcome}", reason)
    logger.info(reason, extra={"rollout": event["rollout"], "outcome": outcome})
    return {"rollout": event["rollout"], "outcome": outcome, "reason": reason}


def _set_back(arn: str, reason: str) -> None:
    """The registry says so too, and approving once more is a change again. What was rejected stays rejected."""
    registry = Registry(group_of(arn))
    if registry.describe(arn).approved:
        registry.set_status(arn, PENDING, reason)
