"""While a version takes a share of the traffic or answers unseen: whether it is like the one before, and still wanted.

Errors of requests and latency are the alarms' business; the state machine asks them itself.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger

from functions.watch_rollout.shadow import Shadow
from penstock.aws.lambda_version import PublishedVersion
from penstock.aws.s3_store import Store
from penstock.captures import reader as captures
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, Record
from penstock.release import shadow_comparison as comparing_shadows
from penstock.release.canary_comparison import Finding, Versions, answers, compare
from penstock.settings import WatchRolloutSettings, model_folder
from penstock.spec.model import read_model
from penstock.spec.rollout import SHADOW

settings = WatchRolloutSettings.read()
spec = read_model(model_folder())
lake = Lake(settings.bucket, settings.model)
store = Store(settings.bucket)
ledger = Ledger.of(settings)
logger = Logger(service="watch_rollout")
JUST_BEFORE = timedelta(hours=1)


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """`{"rollout", "lambda_version", "weight", "since", "ends"}` in, the weight of a shadow being 0.

    Returns:
        `{"verdict": fine | bad | not judged, "reason"}`.
    """
    rollout, weight = ledger.rollout(event["rollout"]), int(event["weight"])
    found = _unwanted(rollout) or (_shadowed if weight == SHADOW else _compared)(rollout, event)
    about: dict[str, Any] = {"lambda_version": str(event["lambda_version"])}  # whose alarms somebody has to remove
    about |= {"shadow": {"said": found.reason, **found.numbers}} if found.numbers is not None else {}
    ledger.note_rollout(rollout["id"], weight=weight, bakes_until=event["ends"], saw=found.reason, **about)
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


def _versions(rollout: Record) -> Versions:
    live = ledger.live()
    return Versions(new=int(rollout["version"]), old=int(live["version"]) if live else None)


def _shadowed(rollout: Record, event: dict[str, Any]) -> Finding:
    """Requests of the hour before count too: the new version answers them as well as those that are still to come."""
    versions = _versions(rollout)
    if versions.old is None:
        return Finding("not judged", versions.alone)
    ask = PublishedVersion(settings.function, event["lambda_version"]).ask
    most = spec.rollout.shadow_rows
    shadow = Shadow(store=store, lake=lake, rollout=rollout["id"], ask=ask, live=versions.old, most=most)
    found = shadow.look(datetime.fromisoformat(event["since"]) - JUST_BEFORE, datetime.now(UTC))
    return comparing_shadows.compare(found, versions, spec.rollout, spec.task)


def _compared(rollout: Record, event: dict[str, Any]) -> Finding:
    versions, by_label = _versions(rollout), spec.task == "multiclass"
    answered = {} if versions.alone else _answered(versions.old, event["since"], by_label=by_label)
    return compare(answered, versions, spec.rollout, by_label=by_label)


def _answered(old: int | None, since: str, *, by_label: bool) -> dict[int, list[Any]]:
    """What each version answered since then. One that has little of the traffic left is compared by the hour before."""
    answered = answers(_captured(since), since, by_label=by_label)
    if old is not None and len(answered.get(old, ())) < spec.rollout.min_rows:
        before = (datetime.fromisoformat(since) - JUST_BEFORE).isoformat(timespec="milliseconds")
        answered[old] = answers(_captured(before), before, by_label=by_label).get(old, [])
    return answered


def _captured(since: str) -> Iterator[dict[str, Any]]:
    """Rows of the files that may hold what was answered since then; a file is named by its first row's arrival."""
    first = captures.hour_prefix(lake, datetime.fromisoformat(since) - captures.LONGEST_BUFFER)
    for _, rows in captures.read(store, lake, after=first):
        yield from rows
