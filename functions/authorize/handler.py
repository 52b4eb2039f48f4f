"""What may go live: a change of approval in the registry, by whoever and whatever means, and code that was deployed.

Each is checked, then rolled out.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from functions.authorize import deployment
from functions.authorize.authorization import Authorization
from penstock import events
from penstock.executions import Executions
from penstock.identity import caller
from penstock.lake import Lake
from penstock.ledger import Ledger
from penstock.notify import Notifier
from penstock.registry import Registry
from penstock.service import Service
from penstock.settings import AuthorizeSettings, model_folder
from penstock.spec import read_model
from penstock.store import Store

settings = AuthorizeSettings.read()
spec = read_model(model_folder())


def _machine() -> str:
    """Who this function is to the registry, where it may approve."""
    return caller() if spec.approval.policy == "auto" else ""


authorization = Authorization(
    settings=settings,
    spec=spec,
    lake=Lake(settings.bucket, settings.model),
    store=Store(settings.bucket),
    ledger=Ledger.of(settings),
    registry=Registry(settings.group),
    notifier=Notifier(settings.topic),
    executions=Executions(settings.rollout),
    service=Service(settings.function),
    machine=_machine(),
)
logger = Logger(service="authorize")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """An event, CloudFormation's request or an operator's `{"new_code": reason, "by"}`; `{"said"}` out."""
    now = datetime.now(UTC)
    if deployment.told(event):
        said = authorization.new_code(now) if deployment.acknowledge(event) else "the stack is deleted"
    elif "new_code" in event:
        said = authorization.new_code(now, by=event["by"], because=event["new_code"])
    elif events.ExecutionEnded.matches(event):
        said = authorization.rollout_ended(events.ExecutionEnded.parse(event), now)
    else:
        said = authorization.changed(events.PackageStateChange.parse(event).arn, now)
    logger.info(said)
    return {"said": said}
