"""`runs`, `run ID`, `retrain`: what the pipeline did and does."""

import json as jsonlib
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import ago, as_json, coloured, console, line, mark, table, took
from penstock.cli.target import Target
from penstock.ledger import NoRecordError, Record

EXIT = {"registered": 0, "skipped": 0, "rejected": 10, "quarantined": 11, "failed": 12}
POLL_SECONDS = 0.4


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(runs)
    app.command()(run)
    app.command()(retrain)


def runs(
    *,
    model: Model = None,
    stage: Stage = "local",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    json: Json = False,
) -> None:
    """List runs, newest first, with how each ended and why."""
    found = Target.of(stage, model).ledger.runs()[:limit]
    if json:
        as_json(found)
        return
    rows = [
        (
            item["id"],
            item["trigger"],
            ago(item["opened"]),
            coloured(item.get("outcome", "open")),
            item["steps"].get("validate", {}).get("compared", {}).get("sentence", ""),
            item.get("reason", ""),
        )
        for item in found
    ]
    table(["run", "trigger", "opened", "ending", "inputs", "reason"], rows, title="runs")


def run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run, as `penstock runs` names it.")],
    *,
    model: Model = None,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    json: Json = False,
) -> None:
    """Show a run, live while it goes on; its ending is the exit code."""
    target = Target.of(stage, model)
    record = target.ledger.run(run_id)
    if json:
        as_json(record | {"states": states(target, run_id)})
    elif record["state"] == "open" and wait:
        record = follow(target, run_id)
    else:
        console.print(view(record, states(target, run_id)))
    raise typer.Exit(EXIT.get(record.get("outcome", ""), 0))


def retrain(
    reason: Annotated[str, typer.Option("--reason", help="For the record.")],
    *,
    model: Model = None,
    stage: Stage = "local",
) -> None:
    """Start a run by hand: on what waits, or on the current dataset with today's code."""
    target = Target.of(stage, model)
    payload = jsonlib.dumps({"retrain": reason, "request": uuid.uuid4().hex})
    reply = target.client("lambda").invoke(FunctionName=target.outputs.StartRunName, Payload=payload)
    answer = jsonlib.loads(reply["Payload"].read())
    console.print(answer.get("said") or answer.get("errorMessage"))


def follow_upload(target: Target, key: str, version_id: str, *, json: bool, timeout: float = 60) -> None:
    """Wait until a run has taken an upload, follow it, and exit with its ending's code."""
    name = f"{key}#{version_id}"
    end = time.monotonic() + timeout
    with console.status("waiting for the run that takes it"):
        while (run_id := taker(target, name)) is None:
            if time.monotonic() > end:
                raise NoRecordError(f"run that took {key} within {timeout:.0f} s; see `penstock runs`")
            time.sleep(POLL_SECONDS)
    record = follow(target, run_id, quiet=json)
    if json:
        as_json(record)
    raise typer.Exit(EXIT.get(record["outcome"], 0))


def taker(target: Target, name: str) -> str | None:
    """The run that took an upload (`key#version id`), None while none has."""
    for record in target.ledger.runs():
        if any(f"{upload['key']}#{upload['version_id']}" == name for upload in record["uploads"]):
            return str(record["id"])
    return None


def follow(target: Target, run_id: str, *, quiet: bool = False) -> Record:
    """Show a run until it has ended; the record then."""
    ledger = target.ledger
    if quiet or not console.is_terminal:
        while (record := ledger.run(run_id))["state"] == "open":
            time.sleep(POLL_SECONDS)
        if not quiet:
            console.print(view(record, states(target, run_id)))
        return record
    with Live(console=console, refresh_per_second=8) as live:
        while True:
            record = ledger.run(run_id)
            live.update(view(record, states(target, run_id)))
            if record["state"] != "open":
                return record
            time.sleep(POLL_SECONDS)


def states(target: Target, run_id: str) -> list[dict[str, Any]]:
    """The execution's states as they were entered: name, entered, left (None while it goes on)."""
    arn = f"{target.outputs.PipelineArn.replace(':stateMachine:', ':execution:')}:{run_id}"
    client = target.client("stepfunctions")
    try:
        pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
    except client.exceptions.ExecutionDoesNotExist:
        return []
    found: list[dict[str, Any]] = []
    for event in events:
        if event["type"].endswith("StateEntered"):
            found.append(
                {"name": event["stateEnteredEventDetails"]["name"], "entered": _utc(event["timestamp"]), "left": None}
            )
        elif event["type"].endswith("StateExited"):
            name = event["stateExitedEventDetails"]["name"]
            for state in found:
                if state["name"] == name and state["left"] is None:
                    state["left"] = _utc(event["timestamp"])
    return found


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def view(record: Record, entered: list[dict[str, Any]]) -> RenderableType:
    """A run as a person reads it: cause, states with their times, gates, ending with its reason."""
    parts: list[RenderableType] = [line((f"run {record['id']}", "bold"), f" · {record['cause']}")]
    grid = Table.grid(padding=(0, 2))
    for state in entered:
        ended = state["left"] or record.get("ended")
        spent = took(state["entered"], ended or datetime.now(UTC).isoformat())
        grid.add_row(line(mark(good=True) if ended else ("…", "blue")), state["name"], spent)
    parts.append(grid)
    steps = record["steps"]
    if compared := steps.get("validate", {}).get("compared"):
        parts.append(line("  ", compared["sentence"]))
    parts += [_upload(upload) for upload in steps.get("validate", {}).get("uploads", [])]
    parts += [
        line("  ", mark(good=verdict["passed"]), f" {verdict['sentence']}")
        for verdict in steps.get("gates", {}).get("verdicts", [])
    ]
    if record["state"] != "open":
        seconds = took(record["opened"], record["ended"])
        parts.append(line(coloured(record["outcome"]), f" after {seconds}: {record['reason']}"))
    return Group(*parts)


def _upload(upload: Record) -> Text:
    name = upload["key"].rpartition("/")[2]
    if upload["refusal"]:
        return line("  ", mark(good=False), f" {name}: {upload['refusal']}")
    bad = f", {upload['bad']} bad rows to quarantine" if upload["bad"] else ""
    return line("  ", mark(good=True), f" {name}: {upload['rows']:,} rows{bad}")
