"""`push`: files and folders into the lake."""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from penstock.aws.s3_store import UPLOADER
from penstock.cli.commands.runs import follow_uploads
from penstock.cli.folder_upload import send
from penstock.cli.local_folder import Folder, data_files
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import as_json, console
from penstock.cli.target import Target, UsageError
from penstock.readers.open_table import ENDINGS, readable


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(push)


def push(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CSV, JSON Lines or Parquet; a folder of them is one upload."),
    ],
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
    """Upload files and folders; each starts a run, or is taken by the next one."""
    if labels and wait:
        raise UsageError("--wait follows a run, and labels start none: `penstock drift` and the next run show them")
    folders = _folders(files, labels=labels)
    target = Target.of(stage, model)
    sent = upload(target, [file for file in files if file not in folders], labels=labels, quiet=json)
    sent += [_upload_folder(target, folder, names, quiet=json) for folder, names in folders.items()]
    if not json:
        for item in sent:
            console.print(f"uploaded {item['uri']}{_about(item)}")
    if wait:
        follow_uploads(target, [(item["key"], item["version_id"]) for item in sent], json=json)
    elif json:
        as_json(sent)


def _folders(files: list[Path], *, labels: bool) -> dict[Path, list[str]]:
    """The folders among what is pushed with their files' names, once all is known to be fit for it."""
    found = [file for file in files if file.is_dir()]
    if found and labels:
        raise UsageError(f"{found[0]} is a folder, and labels are pushed file by file")
    for file in files:
        if file in found:
            continue
        if not file.is_file():
            raise UsageError(f"{file} is not a file")
        if not readable(file.name):
            raise UsageError(f"{file} ends in none of {', '.join(ENDINGS)}")
    return {file: data_files(file) for file in found}


def _about(item: dict[str, Any]) -> str:
    """What there is to say of a folder; nothing of a file."""
    if "files" not in item:
        return ""
    count = f"{item['files']} file{'s' if item['files'] > 1 else ''}"
    return f" ({count}{'' if item['sent'] else ', all there already: nothing was sent, it is only closed again'})"


def _upload_folder(target: Target, path: Path, names: list[str], *, quiet: bool) -> dict[str, Any]:
    with nullcontext() if quiet else console.status(f"reading {path}"):
        folder = Folder.read(path, names)
    with _progress(quiet=quiet) as progress:
        return send(target, folder, progress)


def _progress(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)


def upload(target: Target, files: list[Path], *, labels: bool, quiet: bool) -> list[dict[str, Any]]:
    """Put files into the lake as training data or labels; what is told of each, `put` says."""
    lake = target.lake
    keys = {file: lake.labels(file.name) if labels else lake.raw(file.name) for file in files}
    return put(target, keys, quiet=quiet)


def put(target: Target, keys: Mapping[Path, str], *, quiet: bool) -> list[dict[str, Any]]:
    """Put files under their keys, with a progress bar; for each its `uri`, `key`, `version_id` and `bytes`."""
    client, lake = target.client("s3"), target.lake
    said = {"Metadata": {UPLOADER: target.caller()}}
    uploads = []
    with _progress(quiet=quiet) as progress:
        for file, key in keys.items():
            task = progress.add_task(file.name, total=file.stat().st_size)
            moved = partial(progress.advance, task)
            client.upload_file(str(file), lake.bucket, key, ExtraArgs=said, Callback=moved)
            version = client.head_object(Bucket=lake.bucket, Key=key).get("VersionId", "null")
            uploads.append({"uri": lake.uri(key), "key": key, "version_id": version, "bytes": file.stat().st_size})
    return uploads
