"""Last step of a rollout: what serves now, in the ledger and to the people."""

import json
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.ledger import Ledger, timestamp
from penstock.notify import Notifier
from penstock.settings import EndRolloutSettings

settings = EndRolloutSettings.read()
ledger = Ledger.of(settings)
notifier = Notifier(settings.topic)
logger = Logger(service="end_rollout")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"rollout", "outcome", "lambda_version"}` in, or with the outcome "rolled back" `error`; the ending out."""
    rollout, outcome = ledger.rollout(event["rollout"]), event["outcome"]
    version = rollout["version"]
    live = None
    reason = f"version {version} serves all traffic"
    if outcome == "live":
        live = {"version": version, "sha256": rollout["sha256"], "lambda_version": str(event["lambda_version"])}
    else:
        what = "was taken back" if outcome == "rolled back" else "did not go live"
        reason = f"version {version} {what}: {_words(event.get('error') or {})}"
    if ledger.end_rollout(event["rollout"], outcome, reason, timestamp(datetime.now(UTC)), live):
        notifier.tell(f"{settings.model}: version {version} {outcome}", reason)
    logger.info(reason, extra={"rollout": event["rollout"], "outcome": outcome})
    return {"rollout": event["rollout"], "outcome": outcome, "reason": reason}


def _words(error: dict[str, Any]) -> str:
    cause = str(error.get("Cause", ""))
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause[:1000] or str(error.get("Error", "no reason given"))
