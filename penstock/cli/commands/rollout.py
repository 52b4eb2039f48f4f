"""`rollout --new-code`: make deployed code live, where `model.yaml` leaves that to an operator."""

import json as jsonlib
from datetime import UTC, datetime
from typing import Annotated

import typer

from penstock.cli.options import NamedModel, Reason, Stage
from penstock.cli.output import coloured, console, line
from penstock.cli.rollout_progress import wait_for_rollout
from penstock.cli.target import Target, UsageError
from penstock.ledger.ledger import timestamp


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rollout)


def rollout(
    model: NamedModel = None,
    *,
    new_code: Annotated[bool, typer.Option("--new-code", help="Use the code that was deployed last.")] = False,
    reason: Reason,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the rollout to its end.")] = True,
) -> None:
    """Roll out the live model with newly deployed code, or retry that. Exit code 1 if it does not go live."""
    if not new_code:
        raise UsageError("say --new-code: a version goes live by `penstock approve`, an earlier one by `rollback`")
    target = Target.of(stage, model)
    live, since = target.ledger.live(), timestamp(datetime.now(UTC))
    payload = jsonlib.dumps({"new_code": reason, "by": target.caller()})
    reply = target.client("lambda").invoke(FunctionName=target.outputs.AuthorizeName, Payload=payload)
    answer = jsonlib.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise UsageError(f"authorize failed: {answer.get('errorMessage', answer)}")
    console.print(answer["said"])
    if not wait or live is None or not answer["said"].endswith("started"):
        return
    with console.status("the rollout: publish, golden examples, traffic"):
        outcome, sentence = wait_for_rollout(target, int(live["version"]), since)
    console.print(line(coloured(outcome), f": {sentence}"))
    if outcome != "live":
        raise typer.Exit(1)
