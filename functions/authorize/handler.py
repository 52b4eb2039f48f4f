"""What may go live: a change of approval in the registry, by whoever and whatever means, and code that was deployed.

Each is checked, then rolled out.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from functions.authorize import custom_resource as deployment
from functions.authorize.authorization import Authorization
from penstock import events
from penstock.aws.caller import caller
from penstock.aws.executions import Executions
from penstock.aws.model_registry import Registry
from penstock.aws.notifier import Notifier
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.release.endpoints import Endpoints, EndpointsError
from penstock.release.live_service import Service
from penstock.settings import AuthorizeSettings, model_folder
from penstock.spec.model import read_model

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
    endpoints=Endpoints(settings.stage, settings.model),
    machine=_machine(),
)
logger = Logger(service="authorize")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """An event, CloudFormation's request or an operator's `{"new_code": reason, "by"}`; `{"said"}` out."""
    now = datetime.now(UTC)
    if deployment.told(event):
        said = _deployed(event, now)
    elif "new_code" in event:
        said = authorization.new_code(now, by=event["by"], because=event["new_code"])
    elif events.ExecutionEnded.matches(event):
        said = authorization.rollout_ended(events.ExecutionEnded.parse(event), now)
    else:
        said = authorization.changed(events.PackageStateChange.parse(event).arn, now)
    logger.info(said)
    return {"said": said}


def _deployed(event: dict[str, Any], now: datetime) -> str:
    """What CloudFormation tells; it is answered in any case, or it would wait for an hour."""
    if not deployment.gone(event):
        deployment.acknowledge(event)
        return authorization.new_code(now)
    try:
        authorization.stack_deleted()
    except (BotoCoreError, ClientError, EndpointsError) as error:
        deployment.acknowledge(event, f"delete the stack again when these endpoints can go: {error}")
        return str(error)
    deployment.acknowledge(event)
    return "the stack is deleted, and its endpoints are"
