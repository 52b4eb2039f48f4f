"""What comes of a decision: followed in the ledger until it is live, or somebody or something has said otherwise.

A person waits for this, so what can be known is said at once; only where nothing has happened yet is there patience.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from penstock.cli.target import Target
from penstock.ledger.ledger import Ledger, NoRecordError, Record
from penstock.release.approval import COUNTED
from penstock.release.endpoints import Endpoints

OUTCOMES = {"refused": "refusal", COUNTED: COUNTED, "rejected": "reason", "rolled back": "reason", "set back": "reason"}
"""Decisions after which no rollout is to come, each with the part of its record that says why."""
COUNTED_CODE = 15
"""Exit code: the approval counts, and more are wanted."""


def wait_for_rollout(
    target: Target,
    version: int,
    since: str,
    *,
    patience: float = 60,
    tell: Callable[[str], None] = lambda _progress: None,
) -> tuple[str, str]:
    """What came of a decision: a rollout's ending or one of `OUTCOMES`, with the sentence.

    Args:
        target: the model.
        version: what is to go live.
        since: what was decided or rolled out before this is an older story.
        patience: seconds to wait while no rollout is under way.
        tell: told how far the rollout is, each time that something has changed.

    Raises:
        NoRecordError: nothing came of it in time, and no rollout is under way.
    """
    ledger, end = target.ledger, time.monotonic() + patience
    while (found := _outcome(ledger, version, since)) is None:
        if (holder := ledger.holder("rollout")) is not None:
            end = time.monotonic() + patience
            rollout = ledger.rollout(holder)
            tell(progress(rollout, datetime.now(UTC), starts=_starts(target, rollout)))
        elif time.monotonic() > end:
            raise NoRecordError(
                f"rollout of version {version} after {patience:.0f} s; `penstock why --version {version}`"
            )
        time.sleep(0.4 if target.stage == "local" else 4)
    return found


def _starts(target: Target, rollout: Record) -> bool:
    """Whether a rollout waits for its endpoint; no, where that cannot be asked: it is only told to somebody."""
    if "endpoint" not in rollout or "weight" in rollout:
        return False
    try:
        return Endpoints(target.stage, target.model).status(rollout["endpoint"]) != "InService"
    except ClientError:
        return False


def progress(rollout: Record, now: datetime, *, starts: bool = False) -> str:
    """How far a rollout is: its share of the traffic, how long it is watched yet, and what was seen.

    Args:
        rollout: its record.
        now: the time.
        starts: whether its endpoint is still to come.
    """
    if starts:
        since = max(0, round((now - datetime.fromisoformat(rollout["opened"])).total_seconds()))
        return f"version {rollout['version']}: its endpoint starts, {since // 60}:{since % 60:02}"
    if "weight" not in rollout:
        return f"version {rollout['version']}: publish, golden examples, traffic"
    share = f"gets {rollout['weight']}%" if rollout["weight"] else "answers unseen"
    left = max(0, round((datetime.fromisoformat(rollout["bakes_until"]) - now).total_seconds()))
    return f"version {rollout['version']} {share}, {left // 60}:{left % 60:02} to go; {rollout['saw']}"


def _outcome(ledger: Ledger, version: int, since: str) -> tuple[str, str] | None:
    """A rollout has the last word on what it rolled out, so it is asked first; None while nothing is known."""
    decisions = [item for item in ledger.approvals(version) if item["at"] >= since]
    own = [item for item in ledger.rollouts() if item["version"] == version and item["opened"] >= since]
    if own:
        return (str(own[0]["outcome"]), str(own[0]["reason"])) if own[0]["state"] == "ended" else None
    return _said(decisions[-1]) if decisions and decisions[-1]["decision"] in OUTCOMES else None


def _said(decision: Record) -> tuple[str, str]:
    name = str(decision["decision"])
    words = str(decision.get(OUTCOMES[name]) or "no reason was given")
    return name, words if name in {"refused", COUNTED} else f"{decision['by']}: {words}"


def next_person(target: Target, version: int) -> str:
    """What another person says where more approvals are wanted."""
    return f"penstock approve {target.model} --version {version} --stage {target.stage} --reason '…'"
