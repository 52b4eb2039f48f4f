"""`rollback`: make an earlier version live again, by a rollout like any other."""

from typing import Annotated

import typer
from rich.markup import escape

from penstock.aws.model_registry import REJECTED, Registry
from penstock.cli.options import Json, NamedModel, Reason, Stage
from penstock.cli.output import as_json, coloured, console, line
from penstock.cli.rollout_progress import wait_for_rollout
from penstock.cli.target import Target
from penstock.ledger.ledger import timestamp
from penstock.release import rollback as rules


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rollback)


def rollback(
    model: NamedModel = None,
    *,
    reason: Reason,
    to: Annotated[
        int | None, typer.Option("--to", help="The version; by default the one that was live before.")
    ] = None,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the rollout to its end.")] = True,
    json: Json = False,
) -> None:
    """Replace the live version by an earlier approved one. Exit code 1 if that does not go live."""
    target = Target.of(stage, model)
    ledger, registry = target.ledger, Registry(target.outputs.GroupName)
    live = int(rules.require_live(ledger)["version"])
    back = int(rules.find_target(ledger, live, to)["version"])
    arn = ledger.version(live)["arn"]
    registry.set_status(arn, REJECTED, rules.format_request(back, reason))
    package = registry.describe(arn)
    result = {"model": target.model, "from": live, "to": back, "by": package.changed_by, "reason": reason}
    if not json:
        console.print(f"version {live} of {target.model} is rolled back to version {back}")
    if not wait:
        return as_json(result) if json else None
    with console.status("the rollout: publish, golden examples, traffic") as spinner:
        outcome, sentence = wait_for_rollout(
            target, back, timestamp(package.changed), report=lambda text: spinner.update(escape(text))
        )
    if json:
        as_json(result | {"outcome": outcome, "sentence": sentence})
    else:
        console.print(line(coloured(outcome), f": {sentence}"))
    if outcome != "live":
        raise typer.Exit(1)
    return None
