"""Uploads single files to the lake, with a progress bar."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from penstock.aws.s3_store import UPLOADER
from penstock.cli.output import console
from penstock.cli.target import Target


def upload_files(target: Target, files: list[Path], *, labels: bool, quiet: bool) -> list[dict[str, Any]]:
    """Upload files as training data or as labels; return what `put_files` returns."""
    lake = target.lake
    keys = {file: lake.labels(file.name) if labels else lake.raw(file.name) for file in files}
    return put_files(target, keys, quiet=quiet)


def put_files(target: Target, keys: Mapping[Path, str], *, quiet: bool) -> list[dict[str, Any]]:
    """Put files under their keys; return the `uri`, `key`, `version_id` and `bytes` of each."""
    client, lake = target.client("s3"), target.lake
    extra = {"Metadata": {UPLOADER: target.caller()}}
    uploads = []
    with progress_bar(quiet=quiet) as progress:
        for file, key in keys.items():
            task = progress.add_task(file.name, total=file.stat().st_size)
            advance = partial(progress.advance, task)
            client.upload_file(str(file), lake.bucket, key, ExtraArgs=extra, Callback=advance)
            version = client.head_object(Bucket=lake.bucket, Key=key).get("VersionId", "null")
            uploads.append({"uri": lake.uri(key), "key": key, "version_id": version, "bytes": file.stat().st_size})
    return uploads


def progress_bar(*, quiet: bool) -> Progress:
    """Return a progress bar for bytes; it is hidden where `quiet`, or where the output is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
