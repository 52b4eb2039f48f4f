"""`push`: files into the lake."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import as_json, console
from penstock.cli.runs import follow_uploads
from penstock.cli.target import Target, UsageError
from penstock.reading import readable


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(push)


def push(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, JSON Lines or Parquet.")],
    *,
    model: Model = None,
    stage: Stage = "local",
    labels: Annotated[
        bool, typer.Option("--labels", help="Ground truth of answered requests, not training data.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end; its ending is the exit code.")
    ] = False,
    json: Json = False,
) -> None:
    """Upload files; each starts a run, or is taken by the next one."""
    if labels and wait:
        raise UsageError("--wait follows a run, and labels start none: `penstock drift` and the next run show them")
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} is not a file")
        if not readable(file.name):
            raise UsageError(f"{file} is neither .csv, .jsonl nor .parquet")
    target = Target.of(stage, model)
    sent = upload(target, files, labels=labels, quiet=json)
    if not json:
        for item in sent:
            console.print(f"uploaded {item['uri']}")
    if wait:
        follow_uploads(target, [(item["key"], item["version_id"]) for item in sent], json=json)
    elif json:
        as_json(sent)


def upload(target: Target, files: list[Path], *, labels: bool, quiet: bool) -> list[dict[str, Any]]:
    """Put files into the lake, with a progress bar; for each its `uri`, `key`, `version_id` and `bytes`."""
    client, lake = target.client("s3"), target.lake
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    uploads = []
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        for file in files:
            key = lake.labels(file.name) if labels else lake.raw(file.name)
            task = progress.add_task(file.name, total=file.stat().st_size)
            client.upload_file(
                str(file), lake.bucket, key, Callback=lambda sent, task=task: progress.advance(task, sent)
            )
            version = client.head_object(Bucket=lake.bucket, Key=key).get("VersionId", "null")
            uploads.append({"uri": lake.uri(key), "key": key, "version_id": version, "bytes": file.stat().st_size})
    return uploads
