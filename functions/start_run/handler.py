"""Events in, at most one run out: uploads, the drift alarm, the operator, and the end of the run before."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock import events, lake
from penstock.aws.executions import Ended, Executions
from penstock.ledger.ledger import Ledger, Upload, timestamp
from penstock.pipeline import run_opening as runs
from penstock.settings import StartRunSettings, model_folder
from penstock.spec.model import read_model

settings = StartRunSettings.read()
spec = read_model(model_folder())
ledger = Ledger.of(settings)
executions = Executions(settings.pipeline)
logger = Logger(service="start_run")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Reply `{"said": sentence}`; an operator sees it, for events it is in the log."""
    now = datetime.now(UTC)
    said = _answer(event, now)
    logger.info(said)
    return {"said": said}


def _answer(event: dict[str, Any], now: datetime) -> str:
    if events.ObjectCreated.matches(event):
        return _uploaded(events.ObjectCreated.parse(event), now)
    if events.ExecutionEnded.matches(event):
        ended = events.ExecutionEnded.parse(event)
        _settle(ended.name, Ended(ended.status, ended.cause), now)
        return runs.open_next(ledger, _start, trigger="upload", cause="uploads waited for the run before", now=now)
    if events.AlarmRaised.matches(event):
        return _alarmed(events.AlarmRaised.parse(event), now)
    if isinstance(event.get("retrain"), str):
        occasion = f"operator {event.get('request', timestamp(now))}"
        about = {"cause": event["retrain"], "occasion": occasion, "by": str(event.get("by") or "")}
        return runs.open_next(ledger, _start, trigger="operator", now=now, **about)
    if event.get("waiting") is True:
        return runs.open_next(ledger, _start, trigger="upload", cause="uploads waited for a forgetting", now=now)
    raise events.EventError(f"neither an event that starts a run nor {{'retrain': reason}}: {sorted(event)}")


def _uploaded(event: events.ObjectCreated, now: datetime) -> str:
    name = lake.name_of(event.key, lake.RAW, settings.model)
    folder, _, last = name.rpartition("/")
    if folder and last not in {"", lake.SUCCESS}:
        return f"{event.key} is taken when {lake.SUCCESS} closes its folder"
    if not last or name == lake.SUCCESS:
        return f"{event.key} holds no rows"
    at = timestamp(datetime.fromisoformat(event.at)) if event.at else timestamp(now)
    what = f"{folder}/" if last == lake.SUCCESS else name
    ledger.record_upload(Upload(event.key, event.version_id, event.etag, event.size, at, sequencer=event.sequencer))
    return runs.open_next(ledger, _start, trigger="upload", cause=f"upload of {what}", now=now)


def _alarmed(event: events.AlarmRaised, now: datetime) -> str:
    if refusal := runs.may_retrain(ledger, spec.retraining, now):
        return f"alarm {event.alarm} starts no run: {refusal}"
    occasion = f"{event.alarm} {event.at}"
    return runs.open_next(
        ledger, _start, trigger="alarm", cause=f"alarm {event.alarm}: {event.reason}", occasion=occasion, now=now
    )


def _start(run: str) -> None:
    ended = executions.start(run, {"model": settings.model, "run": run})
    if ended is not None:  # and its ending was not recorded: the event of its end was lost or is still to come
        _settle(run, ended, datetime.now(UTC))


def _settle(run: str, ended: Ended, now: datetime) -> None:
    """Close a run whose execution ended without recording an ending: stopped, timed out, or killed with its cloud."""
    reason = ended.sentence("the pipeline's execution")
    if ledger.end_run(run, "failed", reason, timestamp(now)):
        logger.warning(reason, extra={"run": run})
