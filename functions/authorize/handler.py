"""Decide what may go live: on a change of approval in the registry, on deployed code, and at the end of a rollout."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from functions.authorize import custom_resource
from penstock import events
from penstock.aws.caller import caller_arn
from penstock.aws.executions import Executions
from penstock.aws.model_registry import Registry
from penstock.aws.notifier import Notifier
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.release.authorization import Authorization
from penstock.release.endpoints import Endpoints, EndpointsError
from penstock.release.live_service import Service
from penstock.settings import AuthorizeSettings, model_folder
from penstock.spec.model import read_model

settings = AuthorizeSettings.read()
spec = read_model(model_folder())
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
    machine=caller_arn() if spec.approval.policy == "auto" else "",
)
logger = Logger(service="authorize")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Handle a change of approval, the end of a rollout, a deployment or an operator's request.

    Args:
        event: an EventBridge event, CloudFormation's request, or `{"new_code": reason, "by"}`.
        _context: unused.

    Returns:
        `{"said": sentence}`.
    """
    now = datetime.now(UTC)
    if custom_resource.is_request(event):
        sentence = _respond(event, now)
    elif "new_code" in event:
        sentence = authorization.handle_new_code(now, by=event["by"], because=event["new_code"])
    elif events.ExecutionEnded.matches(event):
        sentence = authorization.handle_rollout_end(events.ExecutionEnded.parse(event), now)
    else:
        sentence = authorization.handle_change(events.PackageStateChange.parse(event).arn, now)
    logger.info(sentence)
    return {"said": sentence}


def _respond(event: dict[str, Any], now: datetime) -> str:
    """Handle CloudFormation's request; it gets a response in any case, or it would wait for an hour."""
    if not custom_resource.is_deletion(event):
        custom_resource.respond(event)
        return authorization.handle_new_code(now)
    try:
        authorization.delete_endpoints()
    except (BotoCoreError, ClientError, EndpointsError) as error:
        custom_resource.respond(event, f"delete the stack again when these endpoints can go: {error}")
        return str(error)
    custom_resource.respond(event)
    return "the stack is deleted, and its endpoints are"
