"""Waits for runs and shows them: states with their times, gates, and the outcome with its reason."""

import time
from datetime import UTC, datetime
from typing import Any

import typer
from botocore.exceptions import ClientError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.cli.output import as_json, coloured, console, line, mark, took
from penstock.cli.target import Target
from penstock.evaluation import tuning_record as tuning
from penstock.ledger.ledger import NoRecordError, Record

EXIT = {"registered": 0, "skipped": 0, "rejected": 10, "quarantined": 11, "failed": 12}
"""Exit code for each outcome of a run."""
POLL_SECONDS = 0.4
STEPS = {
    "Validate": "validate",
    "Inspect": "check large files",
    "Validate inspected": "validate what was checked",
    "Train": "train",
    "Tune": "tune",
    "Register": "gates and registry",
}
"""States of the pipeline that do work, each with its name in the output."""


def follow_uploads(target: Target, uploads: list[tuple[str, str]], *, json: bool) -> None:
    """Follow the runs that take uploads (key, version id), one after another.

    Raises:
        typer.Exit: always, with the highest exit code of the runs.
    """
    records: dict[str, Record] = {}
    for key, version_id in uploads:
        with console.status("waiting for the run that takes it"):
            run_id = wait_for_run_of_upload(target, key, version_id)
        if run_id not in records:
            records[run_id] = follow_run(target, run_id, quiet=json)
    if json:
        as_json(list(records.values()))
    raise typer.Exit(max(EXIT.get(record["outcome"], 0) for record in records.values()))


def wait_for_run_of_upload(target: Target, key: str, version_id: str, *, patience: float = 60) -> str:
    """Wait for the run that takes an upload and return its id; a run in progress extends the wait.

    Raises:
        NoRecordError: no run took it in time, and none is in progress.
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


def follow_run(target: Target, run_id: str, *, quiet: bool = False) -> Record:
    """Show a run until it has ended, and return its record."""
    ledger = target.ledger
    if quiet or not console.is_terminal:
        while (record := ledger.run(run_id))["state"] == "open":
            time.sleep(POLL_SECONDS)
        if not quiet:
            console.print(render_run(record, read_states(target, run_id)))
        return record
    with Live(console=console, refresh_per_second=8) as live:
        while True:
            record = ledger.run(run_id)
            live.update(render_run(record, read_states(target, run_id)))
            if record["state"] != "open":
                return record
            time.sleep(POLL_SECONDS)


def read_states(target: Target, run_id: str) -> list[dict[str, Any]]:
    """Return the execution's states in the order of entry: name, entered, left (None while the state lasts)."""
    arn = f"{target.outputs.PipelineArn.replace(':stateMachine:', ':execution:')}:{run_id}"
    client = target.client("stepfunctions")
    try:
        pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
    except client.exceptions.ExecutionDoesNotExist:
        return []
    states: list[dict[str, Any]] = []
    for event in events:
        if event["type"].endswith("StateEntered"):
            states.append(
                {"name": event["stateEnteredEventDetails"]["name"], "entered": _utc(event["timestamp"]), "left": None}
            )
        elif event["type"].endswith("StateExited"):
            name = event["stateExitedEventDetails"]["name"]
            for state in states:
                if state["name"] == name and state["left"] is None:
                    state["left"] = _utc(event["timestamp"])
    if states and states[-1]["name"] == "Tune" and states[-1]["left"] is None:
        states[-1]["progress"] = _count_trials(target, run_id)
    return states


def _count_trials(target: Target, run_id: str) -> str:
    """Say how many trials of the search have ended; empty without permission to ask, as it is only displayed."""
    client = target.client("sagemaker")
    try:
        jobs = client.list_hyper_parameter_tuning_jobs(
            NameContains=run_id, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )["HyperParameterTuningJobSummaries"]
    except ClientError:
        return ""
    if not jobs:
        return ""
    counts = jobs[0]["TrainingJobStatusCounters"]
    ended = sum(counts.values()) - counts.get("InProgress", 0)
    return f", {ended} of {jobs[0]['ResourceLimits']['MaxNumberOfTrainingJobs']} trials"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def render_run(record: Record, states: list[dict[str, Any]]) -> RenderableType:
    """Render a run for a person: cause, states with their times, gates, outcome with its reason."""
    parts: list[RenderableType] = [line((f"run {record['id']}", "bold"), f" · {record['cause']}")]
    grid = Table.grid(padding=(0, 2))
    work = [state for state in states if state["name"] in STEPS]
    for state in work:
        ended = state["left"] or record.get("ended")
        duration = took(state["entered"], ended or datetime.now(UTC).isoformat())
        good = record.get("outcome") != "failed" or state is not work[-1]
        text = f"{STEPS[state['name']]}{state.get('progress', '')}"
        grid.add_row(line(mark(good=good) if ended else ("…", "blue")), text, duration)
    parts.append(grid)
    steps = record["steps"]
    if comparison := steps.get("validate", {}).get("compared"):
        parts.append(line("  ", comparison["sentence"]))
    if "tuning" in steps:
        parts.append(line(f"  tuned {tuning.sentence(steps['tuning'])}"))
    parts += [_render_upload(upload) for upload in steps.get("validate", {}).get("uploads", [])]
    parts += [
        line("  ", mark(good=verdict["passed"]), f" {verdict['sentence']}")
        for verdict in steps.get("gates", {}).get("verdicts", [])
    ]
    if "report" in steps:
        parts.append(line(f"  report: penstock report {record['id']}"))
    parts += [line(f"  {sentence}") for sentence in mlflow_sentences(steps)]
    if record["state"] != "open":
        seconds = took(record["opened"], record["ended"])
        parts.append(line(coloured(record["outcome"]), f" after {seconds}: {record['reason']}"))
    return Group(*parts)


def mlflow_sentences(steps: Record) -> list[str]:
    """Say where the run is in MLflow, and what kept it or a part of it from being logged."""
    mlflow = steps.get("mlflow", {})
    return [
        *([f"MLflow: {mlflow['url']}"] if mlflow.get("url") else []),
        *([f"not logged to MLflow: {mlflow['failure']}"] if mlflow.get("failure") else []),
    ]


def _render_upload(upload: Record) -> Text:
    name = upload["key"].rpartition("/")[2]
    if upload["refusal"]:
        return line("  ", mark(good=False), f" {name}: {upload['refusal']}")
    bad = f", {upload['bad']} bad rows to quarantine" if upload["bad"] else ""
    return line("  ", mark(good=True), f" {name}: {upload['rows']:,} rows{bad}")
