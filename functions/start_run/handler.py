"""Opens at most one run per event: an upload, the drift alarm, an operator's request, the end of a run."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock import events
from penstock.aws.executions import Executions
from penstock.ledger.ledger import Ledger, timestamp
from penstock.pipeline.run_triggers import RunTriggers
from penstock.settings import StartRunSettings, model_folder
from penstock.spec.model import read_model

settings = StartRunSettings.read()
triggers = RunTriggers(
    model=settings.model,
    retraining=read_model(model_folder()).retraining,
    ledger=Ledger.of(settings),
    executions=Executions(settings.pipeline),
)
logger = Logger(service="start_run")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Open the run that is due on an event or an operator's request.

    Args:
        event: an EventBridge event, `{"retrain": reason, "request", "by"}` or `{"waiting": true}`.
        _context: unused.

    Returns:
        `{"said": sentence}`, which an operator sees; for events it is in the log.
    """
    sentence = _react(event, datetime.now(UTC))
    logger.info(sentence)
    return {"said": sentence}


def _react(event: dict[str, Any], now: datetime) -> str:
    if events.ObjectCreated.matches(event):
        return triggers.record_upload(events.ObjectCreated.parse(event), now)
    if events.ExecutionEnded.matches(event):
        return triggers.settle_run(events.ExecutionEnded.parse(event), now)
    if events.AlarmRaised.matches(event):
        return triggers.retrain_on_alarm(events.AlarmRaised.parse(event), now)
    if isinstance(event.get("retrain"), str):
        request = str(event.get("request", timestamp(now)))
        return triggers.retrain_on_request(event["retrain"], request, str(event.get("by") or ""), now)
    if event.get("waiting") is True:
        return triggers.resume_after_forgetting(now)
    raise events.EventError(f"neither an event that starts a run nor {{'retrain': reason}}: {sorted(event)}")
