"""`push`: upload files and folders to the lake."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.folder_upload import send
from penstock.cli.local_folder import Folder, data_files
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import as_json, console
from penstock.cli.run_progress import follow_uploads
from penstock.cli.target import Target, UsageError
from penstock.cli.upload import progress_bar, upload_files
from penstock.readers.open_table import ENDINGS, is_readable


def register(app: typer.Typer) -> None:
    """Add the command."""
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
        bool, typer.Option("--labels", help="The files are ground truth of answered requests, not training data.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end; the exit code says how it ended.")
    ] = False,
    json: Json = False,
) -> None:
    """Upload files and folders; each starts a run, or is taken by the next one."""
    if labels and wait:
        raise UsageError("--wait follows a run, and labels start none: `penstock drift` and the next run show them")
    folders = _read_folders(files, labels=labels)
    target = Target.of(stage, model)
    uploads = upload_files(target, [file for file in files if file not in folders], labels=labels, quiet=json)
    uploads += [_upload_folder(target, folder, names, quiet=json) for folder, names in folders.items()]
    if not json:
        for item in uploads:
            console.print(f"uploaded {item['uri']}{_describe_folder(item)}")
    if wait:
        follow_uploads(target, [(item["key"], item["version_id"]) for item in uploads], json=json)
    elif json:
        as_json(uploads)


def _read_folders(files: list[Path], *, labels: bool) -> dict[Path, list[str]]:
    """Return the folders among the arguments with their files' names, after checking every argument."""
    folders = [file for file in files if file.is_dir()]
    if folders and labels:
        raise UsageError(f"{folders[0]} is a folder, and labels are pushed file by file")
    for file in files:
        if file in folders:
            continue
        if not file.is_file():
            raise UsageError(f"{file} is not a file")
        if not is_readable(file.name):
            raise UsageError(f"{file} ends in none of {', '.join(ENDINGS)}")
    return {file: data_files(file) for file in folders}


def _describe_folder(item: dict[str, Any]) -> str:
    """Say how many files a folder has, and if they were in the lake already; empty for a single file."""
    if "files" not in item:
        return ""
    count = f"{item['files']} file{'s' if item['files'] > 1 else ''}"
    return f" ({count}{'' if item['sent'] else ', all in the lake already: only _SUCCESS was sent again'})"


def _upload_folder(target: Target, path: Path, names: list[str], *, quiet: bool) -> dict[str, Any]:
    with nullcontext() if quiet else console.status(f"reading {path}"):
        folder = Folder.read(path, names)
    with progress_bar(quiet=quiet) as progress:
        return send(target, folder, progress)
