"""`approve`, `reject`: a person's decisions, and what comes of them."""

import time
from typing import Annotated

import typer

from penstock.cli.options import NamedModel, Reason, Stage, Version
from penstock.cli.output import coloured, console, line
from penstock.cli.target import Target, UsageError
from penstock.ledger import NoRecordError, timestamp
from penstock.registry import APPROVED, REJECTED, Registry


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(approve)
    app.command()(reject)


def approve(
    model: NamedModel = None,
    *,
    reason: Reason,
    version: Version = None,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the rollout to its end.")] = True,
) -> None:
    """Approve a version, the newest unless one is named, and follow its rollout. Exit code 1 if it does not go live."""
    target = Target.of(stage, model)
    number, since = _decide(target, version, APPROVED, reason)
    if wait:
        with console.status("the rollout: publish, golden examples, traffic"):
            outcome, sentence = wait_for_rollout(target, number, since)
        console.print(line(coloured(outcome), f": {sentence}"))
        if outcome != "live":
            raise typer.Exit(1)


def reject(model: NamedModel = None, *, reason: Reason, version: Version = None, stage: Stage = "local") -> None:
    """Reject a version, the newest unless one is named. What is live goes on serving."""
    target = Target.of(stage, model)
    number, _ = _decide(target, version, REJECTED, reason)
    live = target.ledger.live()
    if live is not None and live["version"] == number:
        console.print(f"version {number} is live and goes on serving until another one is approved")


def _decide(target: Target, version: int | None, status: str, reason: str) -> tuple[int, str]:
    """Set the status in the registry; which version's, and when."""
    versions = target.ledger.versions()
    if not versions:
        raise UsageError(f"{target.model} has no version yet: push data first")
    about = target.ledger.version(version) if version is not None else versions[0]
    registry = Registry(target.outputs.GroupName)
    registry.set_status(about["arn"], status, reason)
    words = line(f"version {about['version']} of {target.model} is ", coloured(status.lower()), " in the registry")
    console.print(words)
    return int(about["version"]), timestamp(registry.describe(about["arn"]).changed)


def wait_for_rollout(target: Target, version: int, since: str, *, patience: float = 60) -> tuple[str, str]:
    """What came of an approval: `live`, `rolled back`, `failed` or `refused`, with the sentence.

    Args:
        target: the model.
        version: what was approved.
        since: when, as the registry has it; what was decided or rolled out before is an older story.
        patience: seconds to wait while no rollout is under way.

    Raises:
        NoRecordError: nothing came of it in time, and no rollout is under way.
    """
    ledger, end = target.ledger, time.monotonic() + patience
    while True:
        refused = [item for item in ledger.approvals(version) if item["at"] >= since and "refusal" in item]
        if refused:
            return "refused", str(refused[-1]["refusal"])
        own = [item for item in ledger.rollouts() if item["version"] == version and item["opened"] >= since]
        if own and own[0]["state"] == "ended":
            return str(own[0]["outcome"]), str(own[0]["reason"])
        if ledger.holder("rollout") is not None:
            end = time.monotonic() + patience
        elif time.monotonic() > end:
            raise NoRecordError(
                f"rollout of version {version} after {patience:.0f} s; `penstock why --version {version}`"
            )
        time.sleep(0.4 if target.stage == "local" else 4)
