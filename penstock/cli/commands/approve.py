"""`approve`, `reject`: a person's decision on a version, and the rollout that follows an approval."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape

from penstock.aws.model_registry import APPROVED, REJECTED, Registry
from penstock.cli.options import NamedModel, Reason, Stage, Version
from penstock.cli.output import coloured, console, line
from penstock.cli.rollout_progress import COUNTED_CODE, next_approval, wait_for_rollout
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
    """Approve a version (default: the newest), and follow its rollout.

    Exit code 1 if it does not go live, 15 if more people must approve first.
    """
    target = Target.of(stage, model)
    record = _find_version(target, version)
    number, registry = int(record["version"]), Registry(target.outputs.GroupName)
    before = registry.describe(record["arn"])
    # Not the registry's time of this decision: authorize may have set the status back before that is read.
    since = timestamp(before.changed + timedelta(milliseconds=1))
    if before.approved and record.get("decision") == "approved":
        if is_serving(target.ledger, record):
            return console.print(f"version {number} of {target.model} is approved and live already")
        since = str(record["approved"])  # its rollout is in progress, or waits for another one
    else:
        _set_status(target, registry, record, APPROVED, reason)
    return _follow(target, number, since) if wait else None


def reject(model: NamedModel = None, *, reason: Reason, version: Version = None, stage: Stage = "local") -> None:
    """Reject a version (default: the newest). The live version continues to serve."""
    target = Target.of(stage, model)
    record = _find_version(target, version)
    _set_status(target, Registry(target.outputs.GroupName), record, REJECTED, reason)
    live = target.ledger.live()
    if live is not None and live["version"] == record["version"]:
        console.print(f"version {record['version']} is live and continues to serve until another one is approved")


def _find_version(target: Target, version: int | None) -> Record:
    versions = target.ledger.versions()
    if not versions:
        raise UsageError(f"{target.model} has no version yet: push data first")
    return target.ledger.version(version) if version is not None else versions[0]


def _set_status(target: Target, registry: Registry, record: Record, status: str, reason: str) -> None:
    registry.set_status(record["arn"], status, reason)
    console.print(
        line(f"version {record['version']} of {target.model} is ", coloured(status.lower()), " in the registry")
    )


def is_serving(ledger: Ledger, record: Record) -> bool:
    """Return whether an approved version is live; False while its rollout is in progress or has not started.

    Raises:
        UsageError: it was live, and another version has replaced it.
    """
    live, number = ledger.live(), record["version"]
    if live is None or live["version"] == number:
        return live is not None
    rollouts = [item for item in ledger.rollouts() if item["version"] == number and item.get("outcome") == "live"]
    if any(item["opened"] >= record["approved"] for item in rollouts):
        raise UsageError(
            f"version {number} is approved already, and version {live['version']} has replaced it: "
            f"`penstock rollback {ledger.model} --to {number} --reason …` brings it back"
        )
    return False


def _follow(target: Target, number: int, since: str) -> None:
    """Print the result of an approval.

    Raises:
        typer.Exit: it did not go live.
    """
    with console.status("the rollout: publish, golden examples, traffic") as spinner:
        outcome, sentence = wait_for_rollout(target, number, since, report=lambda text: spinner.update(escape(text)))
    console.print(line(coloured(outcome), f": {sentence}"), soft_wrap=True)
    if outcome == COUNTED:
        console.print(f"another person approves next: {next_approval(target, number)}", soft_wrap=True)
        raise typer.Exit(COUNTED_CODE)
    if outcome != "live":
        raise typer.Exit(1)
