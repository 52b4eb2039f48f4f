"""`rollout`: the live model with the code that was deployed, where the specification leaves that to an operator."""

import json as jsonlib
from datetime import UTC, datetime
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from penstock.cli.options import NamedModel, Reason, Stage
from penstock.cli.output import coloured, console, line
from penstock.cli.rollout_progress import wait_for_rollout
from penstock.cli.target import Target, UsageError
from penstock.ledger.ledger import timestamp
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.live_service import Service, newest


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rollout)


def rollout(
    model: NamedModel = None,
    *,
    new_code: Annotated[bool, typer.Option("--new-code", help="With the code that was deployed last.")] = False,
    reason: Reason,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the rollout to its end.")] = True,
) -> None:
    """Roll the live model out with new code, or try that again. Exit code 1 if it does not go live."""
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


def waiting(target: Target) -> str | None:
    """That deployed code does not serve yet; None where it does, or nothing is live."""
    service = Service(target.outputs.PredictName)
    try:
        serving = service.live()
        plan = EndpointPlan.read(target.outputs.EndpointPlan)
        deployed = newest(service, plan, serving.version or 0, serving.sha256)
    except ClientError as error:
        return f"whether deployed code is live cannot be asked: {error}"
    if serving.version is None or serving.deployed == deployed:
        return None
    if target.ledger.holder("rollout") is not None:
        return "code or settings that were deployed since are not live; a rollout is under way"
    command = f"penstock rollout {target.model} --new-code --reason '…'"
    return f"code or settings that were deployed since are not live: {command}"
