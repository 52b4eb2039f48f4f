"""`runs`, `run`, `retrain`: list, compare, follow and start runs of the pipeline."""

import json as jsonlib
import uuid
from typing import Annotated

import typer

from penstock.cli.commands.runs_compare import DEFAULT_RUNS, print_comparison
from penstock.cli.options import Json, Model, Stage, check_reason
from penstock.cli.output import ago, as_json, coloured, console, table
from penstock.cli.run_progress import EXIT, follow_run, read_states, render_run
from penstock.cli.target import Target, UsageError
from penstock.evaluation import tuning_record as tuning
from penstock.ledger.ledger import Record


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(runs)
    app.command()(run)
    app.command()(retrain)


def runs(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these.", show_default=False)] = None,
    *,
    compare: Annotated[bool, typer.Option("--compare", help="Side by side: parameters, metrics, data, gates.")] = False,
    model: Model = None,
    stage: Stage = "local",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    json: Json = False,
) -> None:
    """List runs, newest first, each with its outcome and reason; or compare runs (default: the newest judged ones)."""
    ledger = Target.of(stage, model).ledger
    records = [ledger.run(name) for name in ids] if ids else ledger.runs()
    if compare:
        judged = [record for record in records if "gates" in record["steps"]][:DEFAULT_RUNS]
        print_comparison(ledger, records if ids else judged, json=json)
        return
    records = records[:limit]
    if json:
        as_json(records)
        return
    rows = [
        (
            item["id"],
            item["trigger"],
            ago(item["opened"]),
            coloured(item.get("outcome", "open")),
            item["steps"].get("validate", {}).get("compared", {}).get("sentence", ""),
            item.get("reason", "") + _describe_tuning(item["steps"]),
        )
        for item in records
    ]
    table(["run", "trigger", "opened", "ending", "inputs", "reason"], rows, title="runs")


def _describe_tuning(steps: Record) -> str:
    return f" · tuned {tuning.sentence(steps['tuning'])}" if "tuning" in steps else ""


def run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id, from `penstock runs`.")],
    *,
    model: Model = None,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    json: Json = False,
) -> None:
    """Show a run, live while it is in progress; the exit code says how it ended."""
    target = Target.of(stage, model)
    record = target.ledger.run(run_id)
    if json:
        as_json(record | {"states": read_states(target, run_id)})
    elif record["state"] == "open" and wait:
        record = follow_run(target, run_id)
    else:
        console.print(render_run(record, read_states(target, run_id)))
    raise typer.Exit(EXIT.get(record.get("outcome", ""), 0))


def retrain(
    reason: Annotated[str, typer.Option("--reason", help="The reason, recorded in the run.", callback=check_reason)],
    *,
    model: Model = None,
    stage: Stage = "local",
) -> None:
    """Start a run by hand: on the uploads that wait, or on the current dataset with the current code."""
    target = Target.of(stage, model)
    payload = jsonlib.dumps({"retrain": reason, "request": uuid.uuid4().hex, "by": target.caller()})
    reply = target.client("lambda").invoke(FunctionName=target.outputs.StartRunName, Payload=payload)
    answer = jsonlib.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise UsageError(f"start_run failed: {answer.get('errorMessage', answer)}")
    console.print(answer["said"])
