"""`runs`, `run ID`, `retrain`: what the pipeline did and does."""

import json as jsonlib
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.cli.commands.runs_compare import BESIDE, show_beside
from penstock.cli.options import Json, Model, Stage, given_reason
from penstock.cli.output import ago, as_json, coloured, console, line, mark, table, took
from penstock.cli.target import Target, UsageError
from penstock.evaluation import tuning_record as tuning
from penstock.ledger.ledger import NoRecordError, Record

EXIT = {"registered": 0, "skipped": 0, "rejected": 10, "quarantined": 11, "failed": 12}
POLL_SECONDS = 0.4
STEPS = {
    "Validate": "validate",
    "Inspect": "check large files",
    "Validate inspected": "validate what was checked",
    "Train": "train",
    "Tune": "tune",
    "Register": "gates and registry",
}
"""The pipeline's states that do work; the others only lead from one to the next."""


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
    """List runs, newest first, with how each ended and why; or compare them, those that were judged unless named."""
    ledger = Target.of(stage, model).ledger
    found = [ledger.run(name) for name in ids] if ids else ledger.runs()
    if compare:
        show_beside(ledger, found if ids else [run for run in found if "gates" in run["steps"]][:BESIDE], json=json)
        return
    found = found[:limit]
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
            item.get("reason", "") + _tuned(item["steps"]),
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
    reason: Annotated[str, typer.Option("--reason", help="For the record.", callback=given_reason)],
    *,
    model: Model = None,
    stage: Stage = "local",
) -> None:
    """Start a run by hand: on what waits, or on the current dataset with today's code."""
    target = Target.of(stage, model)
    payload = jsonlib.dumps({"retrain": reason, "request": uuid.uuid4().hex, "by": target.caller()})
    reply = target.client("lambda").invoke(FunctionName=target.outputs.StartRunName, Payload=payload)
    answer = jsonlib.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise UsageError(f"start_run failed: {answer.get('errorMessage', answer)}")
    console.print(answer["said"])


def follow_uploads(target: Target, uploads: list[tuple[str, str]], *, json: bool) -> None:
    """Follow the runs that take uploads (key, version id), one after the other; the worst ending is the exit code."""
    records: dict[str, Record] = {}
    for key, version_id in uploads:
        with console.status("waiting for the run that takes it"):
            run_id = wait_for_taker(target, key, version_id)
        if run_id not in records:
            records[run_id] = follow(target, run_id, quiet=json)
    if json:
        as_json(list(records.values()))
    raise typer.Exit(max(EXIT.get(record["outcome"], 0) for record in records.values()))


def wait_for_taker(target: Target, key: str, version_id: str, *, patience: float = 60) -> str:
    """The run that takes an upload. While another run is under way it waits for its turn, however long that is.

    Raises:
        NoRecordError: no run is under way and none takes it.
    """
    ledger, end = target.ledger, time.monotonic() + patience
    while True:
        upload = ledger.upload(key, version_id)
        if upload and "run" in upload:
            return str(upload["run"])
        if ledger.holder("run") is not None:
            end = time.monotonic() + patience
        elif time.monotonic() > end:
            raise NoRecordError(f"run that took {key} within {patience:.0f} s; `penstock runs` lists what there is")
        time.sleep(POLL_SECONDS if target.stage == "local" else 10 * POLL_SECONDS)


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
    if found and found[-1]["name"] == "Tune" and found[-1]["left"] is None:
        found[-1]["progress"] = _trials(target, run_id)
    return found


def _trials(target: Target, run_id: str) -> str:
    """How far a search is; nothing where the operator may not ask, for the run goes on all the same."""
    client = target.client("sagemaker")
    try:
        listed = client.list_hyper_parameter_tuning_jobs(
            NameContains=run_id, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )["HyperParameterTuningJobSummaries"]
    except ClientError:
        return ""
    if not listed:
        return ""
    counts = listed[0]["TrainingJobStatusCounters"]
    ended = sum(counts.values()) - counts.get("InProgress", 0)
    return f", {ended} of {listed[0]['ResourceLimits']['MaxNumberOfTrainingJobs']} trials"


def _tuned(steps: Record) -> str:
    return f" · tuned {tuning.sentence(steps['tuning'])}" if "tuning" in steps else ""


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def view(record: Record, entered: list[dict[str, Any]]) -> RenderableType:
    """A run as a person reads it: cause, states with their times, gates, ending with its reason."""
    parts: list[RenderableType] = [line((f"run {record['id']}", "bold"), f" · {record['cause']}")]
    grid = Table.grid(padding=(0, 2))
    shown = [state for state in entered if state["name"] in STEPS]
    for state in shown:
        ended = state["left"] or record.get("ended")
        spent = took(state["entered"], ended or datetime.now(UTC).isoformat())
        good = record.get("outcome") != "failed" or state is not shown[-1]
        said = f"{STEPS[state['name']]}{state.get('progress', '')}"
        grid.add_row(line(mark(good=good) if ended else ("…", "blue")), said, spent)
    parts.append(grid)
    steps = record["steps"]
    if compared := steps.get("validate", {}).get("compared"):
        parts.append(line("  ", compared["sentence"]))
    if "tuning" in steps:
        parts.append(line(f"  tuned {tuning.sentence(steps['tuning'])}"))
    parts += [_upload(upload) for upload in steps.get("validate", {}).get("uploads", [])]
    parts += [
        line("  ", mark(good=verdict["passed"]), f" {verdict['sentence']}")
        for verdict in steps.get("gates", {}).get("verdicts", [])
    ]
    if "report" in steps:
        parts.append(line(f"  report: penstock report {record['id']}"))
    parts += [line(f"  {said}") for said in in_mlflow(steps)]
    if record["state"] != "open":
        seconds = took(record["opened"], record["ended"])
        parts.append(line(coloured(record["outcome"]), f" after {seconds}: {record['reason']}"))
    return Group(*parts)


def in_mlflow(steps: Record) -> list[str]:
    """Where MLflow has a run, and what kept it from having all or any of it."""
    found = steps.get("mlflow", {})
    return [
        *([f"MLflow: {found['url']}"] if found.get("url") else []),
        *([f"not logged to MLflow: {found['failure']}"] if found.get("failure") else []),
    ]


def _upload(upload: Record) -> Text:
    name = upload["key"].rpartition("/")[2]
    if upload["refusal"]:
        return line("  ", mark(good=False), f" {name}: {upload['refusal']}")
    bad = f", {upload['bad']} bad rows to quarantine" if upload["bad"] else ""
    return line("  ", mark(good=True), f" {name}: {upload['rows']:,} rows{bad}")
