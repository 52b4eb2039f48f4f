"""`approve`, `reject`: a person's decisions, and what comes of them."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape

from penstock.aws.model_registry import APPROVED, REJECTED, Registry
from penstock.cli.options import NamedModel, Reason, Stage, Version
from penstock.cli.output import coloured, console, line
from penstock.cli.rollout_progress import COUNTED_CODE, next_person, wait_for_rollout
from penstock.cli.target import Target, UsageError
from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.release.approval import COUNTED


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
    """Approve a version, the newest unless one is named, and follow its rollout.

    Exit code 1 if it does not go live, 15 if more people must approve first.
    """
    target = Target.of(stage, model)
    about = _meant(target, version)
    number, registry = int(about["version"]), Registry(target.outputs.GroupName)
    before = registry.describe(about["arn"])
    # Not the moment that the registry has of this decision: authorize may have set it back before that is read.
    since = timestamp(before.changed + timedelta(milliseconds=1))
    if before.approved and about.get("decision") == "approved":
        if serves(target.ledger, about):
            return console.print(f"version {number} of {target.model} is approved and live already")
        since = str(about["approved"])  # its rollout is under way, or comes after another one
    else:
        _decide(target, registry, about, APPROVED, reason)
    return _follow(target, number, since) if wait else None


def reject(model: NamedModel = None, *, reason: Reason, version: Version = None, stage: Stage = "local") -> None:
    """Reject a version, the newest unless one is named. What is live goes on serving."""
    target = Target.of(stage, model)
    about = _meant(target, version)
    _decide(target, Registry(target.outputs.GroupName), about, REJECTED, reason)
    live = target.ledger.live()
    if live is not None and live["version"] == about["version"]:
        console.print(f"version {about['version']} is live and goes on serving until another one is approved")


def _meant(target: Target, version: int | None) -> Record:
    versions = target.ledger.versions()
    if not versions:
        raise UsageError(f"{target.model} has no version yet: push data first")
    return target.ledger.version(version) if version is not None else versions[0]


def _decide(target: Target, registry: Registry, about: Record, status: str, reason: str) -> None:
    """Set the status in the registry."""
    registry.set_status(about["arn"], status, reason)
    words = line(f"version {about['version']} of {target.model} is ", coloured(status.lower()), " in the registry")
    console.print(words)


def serves(ledger: Ledger, about: Record) -> bool:
    """Whether an approved version is live; False while its rollout is under way or to come.

    Raises:
        UsageError: it was live, and another one has taken its place.
    """
    live, number = ledger.live(), about["version"]
    if live is None or live["version"] == number:
        return live is not None
    was = [item for item in ledger.rollouts() if item["version"] == number and item.get("outcome") == "live"]
    if any(item["opened"] >= about["approved"] for item in was):
        raise UsageError(
            f"version {number} is approved already, and version {live['version']} has taken its place: "
            f"`penstock rollback {ledger.model} --to {number} --reason …` brings it back"
        )
    return False


def _follow(target: Target, number: int, since: str) -> None:
    """Print what came of an approval.

    Raises:
        typer.Exit: it did not go live.
    """
    with console.status("the rollout: publish, golden examples, traffic") as shown:
        outcome, sentence = wait_for_rollout(target, number, since, tell=lambda said: shown.update(escape(said)))
    console.print(line(coloured(outcome), f": {sentence}"), soft_wrap=True)
    if outcome == COUNTED:
        console.print(f"somebody else approves next: {next_person(target, number)}", soft_wrap=True)
        raise typer.Exit(COUNTED_CODE)
    if outcome != "live":
        raise typer.Exit(1)
