"""Waits for a rollout, or for the decision that prevents it, by following the ledger.

A person waits for this, so a known result is returned at once; the time limit applies only while nothing has happened.
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
"""Decisions that no rollout follows, each with the member of its record that holds the reason."""
COUNTED_CODE = 15
"""Exit code: the approval counts, and the policy wants more of them."""


def wait_for_rollout(
    target: Target,
    version: int,
    since: str,
    *,
    patience: float = 60,
    report: Callable[[str], None] = lambda _progress: None,
) -> tuple[str, str]:
    """Wait for the result of a decision; return the rollout's outcome or one of `OUTCOMES`, with its reason.

    Args:
        target: the model.
        version: the version that is to go live.
        since: timestamp; earlier decisions and rollouts are ignored.
        patience: seconds to wait while no rollout is in progress.
        report: called with the rollout's progress at every look.

    Raises:
        NoRecordError: there is no result in time, and no rollout is in progress.
    """
    ledger, end = target.ledger, time.monotonic() + patience
    while (result := _read_result(ledger, version, since)) is None:
        if (holder := ledger.holder("rollout")) is not None:
            end = time.monotonic() + patience
            rollout = ledger.rollout(holder)
            report(describe_progress(rollout, datetime.now(UTC), starting=_endpoint_is_starting(target, rollout)))
        elif time.monotonic() > end:
            raise NoRecordError(
                f"rollout of version {version} after {patience:.0f} s; `penstock why --version {version}`"
            )
        time.sleep(0.4 if target.stage == "local" else 4)
    return result


def _endpoint_is_starting(target: Target, rollout: Record) -> bool:
    """Return whether a rollout waits for its endpoint; False without permission to ask, as it is only displayed."""
    if "endpoint" not in rollout or "weight" in rollout:
        return False
    try:
        return Endpoints(target.stage, target.model).status(rollout["endpoint"]) != "InService"
    except ClientError:
        return False


def describe_progress(rollout: Record, now: datetime, *, starting: bool = False) -> str:
    """Describe a rollout in progress: its share of the traffic, the time left, and the newest observation.

    Args:
        rollout: its record.
        now: the time.
        starting: whether its endpoint is not in service yet.
    """
    if starting:
        since = max(0, round((now - datetime.fromisoformat(rollout["opened"])).total_seconds()))
        return f"version {rollout['version']}: its endpoint starts, {since // 60}:{since % 60:02}"
    if "weight" not in rollout:
        return f"version {rollout['version']}: publish, golden examples, traffic"
    share = f"gets {rollout['weight']}%" if rollout["weight"] else "gets shadow requests"
    seconds_left = max(0, round((datetime.fromisoformat(rollout["bakes_until"]) - now).total_seconds()))
    return f"version {rollout['version']} {share}, {seconds_left // 60}:{seconds_left % 60:02} to go; {rollout['saw']}"


def _read_result(ledger: Ledger, version: int, since: str) -> tuple[str, str] | None:
    """Return the result of the version's rollout, else of its newest decision; None while there is neither."""
    decisions = [item for item in ledger.approvals(version) if item["at"] >= since]
    rollouts = [item for item in ledger.rollouts() if item["version"] == version and item["opened"] >= since]
    if rollouts:
        newest = rollouts[0]
        return (str(newest["outcome"]), str(newest["reason"])) if newest["state"] == "ended" else None
    return _describe_decision(decisions[-1]) if decisions and decisions[-1]["decision"] in OUTCOMES else None


def _describe_decision(decision: Record) -> tuple[str, str]:
    name = str(decision["decision"])
    reason = str(decision.get(OUTCOMES[name]) or "no reason was given")
    return name, reason if name in {"refused", COUNTED} else f"{decision['by']}: {reason}"


def next_approval(target: Target, version: int) -> str:
    """Return the command for the next approver, where the policy wants more than one."""
    return f"penstock approve {target.model} --version {version} --stage {target.stage} --reason '…'"
