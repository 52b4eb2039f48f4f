"""While a version takes a share of the traffic: whether it answers like the one before, and whether it is still wanted.

Errors and latency are the alarms' business; the state machine asks them itself.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger

from penstock import captures
from penstock.comparing_versions import Finding, Versions, answers, compare
from penstock.lake import Lake
from penstock.ledger import Ledger, Record
from penstock.settings import WatchRolloutSettings, model_folder
from penstock.spec import read_model
from penstock.store import Store

settings = WatchRolloutSettings.read()
spec = read_model(model_folder())
lake = Lake(settings.bucket, settings.model)
store = Store(settings.bucket)
ledger = Ledger.of(settings)
logger = Logger(service="watch_rollout")
JUST_BEFORE = timedelta(hours=1)
LONGEST_BUFFER = timedelta(minutes=15)
"""Of Firehose."""


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """`{"rollout", "weight", "since", "ends"}` in; `{"verdict": fine | bad | not judged, "reason"}` out."""
    rollout = ledger.rollout(event["rollout"])
    found = _unwanted(rollout) or _compared(rollout, event["since"])
    ledger.note_rollout(rollout["id"], weight=int(event["weight"]), bakes_until=event["ends"], saw=found.reason)
    logger.info(found.reason, extra={"rollout": rollout["id"], "verdict": found.verdict})
    return {"verdict": found.verdict, "reason": found.reason}


def _unwanted(rollout: Record) -> Finding | None:
    """Why the rollout is to end whatever the version answers; None where it is not."""
    if rollout.get("superseded_by"):
        return Finding("bad", f"superseded by version {rollout['superseded_by']}")
    about = ledger.version(rollout["version"])
    if not about.get("approved"):
        decision = about.get("decision") or "not approved"
        return Finding("bad", f"the ledger has version {rollout['version']} as {decision} by now")
    return None


def _compared(rollout: Record, since: str) -> Finding:
    live, by_label = ledger.live(), spec.task == "multiclass"
    if live is not None and live["version"] == rollout["version"]:
        return Finding("not judged", "the same model with new code: its scores were held to the golden examples")
    versions = Versions(new=int(rollout["version"]), old=int(live["version"]) if live else None)
    answered = answers(_captured(since), since, by_label=by_label)
    if versions.old is not None and len(answered.get(versions.old, ())) < spec.rollout.min_rows:
        # A new version with most of the traffic leaves the old one little: then what it answered just before counts.
        before = (datetime.fromisoformat(since) - JUST_BEFORE).isoformat(timespec="milliseconds")
        answered[versions.old] = answers(_captured(before), before, by_label=by_label).get(versions.old, [])
    return compare(answered, versions, spec.rollout, by_label=by_label)


def _captured(since: str) -> Iterator[dict[str, Any]]:
    """Rows of the files that may hold what was answered since then; a file is named by its first row's arrival."""
    first = captures.hour_prefix(lake, datetime.fromisoformat(since) - LONGEST_BUFFER)
    for _, rows in captures.read(store, lake, after=first):
        yield from rows
