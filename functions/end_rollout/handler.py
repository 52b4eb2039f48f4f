"""Last step of a rollout: what serves now, in the ledger, in the registry and to the people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from penstock.aws.executions import words
from penstock.aws.model_registry import PENDING, Registry, group_of
from penstock.aws.notifier import Notifier
from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.release.endpoints import Endpoints, EndpointsError
from penstock.release.live_service import Service
from penstock.release.pruning import kept
from penstock.settings import EndRolloutSettings, model_folder
from penstock.spec.model import read_model

settings = EndRolloutSettings.read()
ledger = Ledger.of(settings)
notifier = Notifier(settings.topic)
service = Service(settings.function)
endpoints = Endpoints(settings.stage, settings.model)
keep = kept(read_model(model_folder()))
logger = Logger(service="end_rollout")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"rollout", "outcome", "lambda_version", …}` in, with `endpoint` and `saw` where live, else `error`; the ending.

    The number of the Lambda version is empty where none was published.
    """
    rollout, outcome = ledger.rollout(event["rollout"]), event["outcome"]
    version = rollout["version"]
    live = None
    # Once it has ended, another one may be making an endpoint.
    left = _sweep() if rollout["state"] == "open" else ""
    before = ledger.live()
    reason = f"version {version} serves all traffic" + (" with new code" if "new_code" in rollout else "")
    if outcome == "live":
        reason += "".join(f"; {said}" for said in _seen(rollout, event))
        live = {"version": version, "sha256": rollout["sha256"], "lambda_version": str(event["lambda_version"])}
        live |= {"endpoint": event["endpoint"]} if event.get("endpoint") else {}
    else:
        what = "was taken back" if outcome == "rolled back" else "did not go live"
        subject = f"new code of version {version}" if "new_code" in rollout else f"version {version}"
        reason = f"{subject} {what}: {words(event.get('error') or {})}"
        # Of new code the model stays approved: it serves with the code that it had. And a repeated step takes back
        # nothing that was approved since.
        if rollout["state"] == "open" and "new_code" not in rollout:
            _set_back(rollout["arn"], reason)
    reason += left
    code = service.code_of_version(str(event["lambda_version"])) if event.get("lambda_version") else None
    if ledger.end_rollout(event["rollout"], outcome, reason, timestamp(datetime.now(UTC)), live, code=code):
        notifier.tell(f"{settings.model}: version {version} {outcome}", reason)
    if live is not None:
        _prune(before)
    logger.info(reason, extra={"rollout": event["rollout"], "outcome": outcome})
    return {"rollout": event["rollout"], "outcome": outcome, "reason": reason}


def _seen(rollout: Record, event: dict[str, Any]) -> list[str]:
    """What the rollout's last looks came to: as a shadow, and at its last weight."""
    said = [rollout.get("shadow", {}).get("said"), event.get("saw")]
    return list(dict.fromkeys(words for words in said if words))


def _prune(before: Record | None) -> None:
    """Delete published versions that nobody needs. What cannot be deleted now costs no ending: the next one tries."""
    try:
        gone = service.prune({int(before["lambda_version"])} if before else set(), keep)
    except (BotoCoreError, ClientError) as error:
        logger.warning(f"published versions not pruned: {error}")
    else:
        logger.info("published versions pruned", extra={"versions": gone})


def _sweep() -> str:
    """Delete the endpoints that nothing answers by; what a reason is to add about those that are still there.

    What cannot be deleted now costs no ending, for the next one tries. But it bills until then, so it is told.
    """
    try:
        gone = endpoints.sweep(service.endpoints())
    except EndpointsError as error:
        return f"; the next rollout deletes what could not be deleted now: {error}"
    except (BotoCoreError, ClientError) as error:
        logger.warning(f"endpoints not deleted: {error}")
    else:
        logger.info("endpoints deleted", extra={"endpoints": gone})
    return ""


def _set_back(arn: str, reason: str) -> None:
    """The registry says so too, and approving once more is a change again. What was rejected stays rejected."""
    registry = Registry(group_of(arn))
    if registry.describe(arn).approved:
        registry.set_status(arn, PENDING, reason)
