"""A file that came becomes a batch, once, of the version that is live now; an execution that was lost is an ending."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock import events, lake
from penstock.aws.executions import Ended, Executions
from penstock.batches import batch_id
from penstock.lake import BATCH_INPUT
from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.settings import StartBatchSettings

settings = StartBatchSettings.read()
ledger = Ledger.of(settings)
executions = Executions(settings.machine)
logger = Logger(service="start_batch")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Reply `{"said": sentence}`, which is in the log."""
    said = _answer(event, timestamp(datetime.now(UTC)))
    logger.info(said)
    return {"said": said}


def _answer(event: dict[str, Any], at: str) -> str:
    if events.ObjectCreated.matches(event):
        return _came(events.ObjectCreated.parse(event), at)
    ended = events.ExecutionEnded.parse(event)
    return _settle(ended.name, Ended(ended.status, ended.cause), at)


def _came(event: events.ObjectCreated, at: str) -> str:
    if event.key == lake.prefix(BATCH_INPUT, settings.model):
        return f"{event.key} holds no rows"
    name = lake.name_of(event.key, BATCH_INPUT, settings.model)
    if not lake.holds_rows(name):
        return f"{event.key} holds no rows"
    batch = batch_id(settings.model, event.key, event.version_id)
    about = {"key": event.key, "name": name, "version_id": event.version_id, "size": event.size}
    # What is live is asked once: the event may come again after a rollout.
    opened = ledger.open_batch(batch, at, **about, live=_live())
    if not opened and ledger.batch(batch)["state"] == "ended":
        return f"batch {batch} of {name} has ended already"
    ended = executions.start(batch, {"model": settings.model, "batch": batch})
    if ended is not None:  # and its ending was not recorded: the event of its end was lost or is still to come
        return _settle(batch, ended, at)
    return f"batch {batch} of {name} {'opened' if opened else 'is under way'}"


def _live() -> Record | None:
    """The live version's file; None where nothing is live."""
    live = ledger.live()
    if live is None:
        return None
    about = ledger.version(int(live["version"]))
    return {
        "version": live["version"],
        "sha256": live["sha256"],
        "model_version_id": about.get("model_version_id", ""),
    }


def _settle(batch: str, ended: Ended, at: str) -> str:
    """Close a batch whose execution ended without recording an ending: stopped, timed out, or killed with its cloud."""
    if ledger.known_batch(batch) is None:
        return f"{batch} is no batch"
    reason = f"{ended.sentence('the execution')}; push the file again: what was scored by then is kept"
    if ledger.end_batch(batch, "failed", reason, at):
        logger.warning(reason, extra={"batch": batch})
    return reason
