"""A folder into the lake, whole or not at all.

Its place there is named by its content, so nothing of an earlier push of another content lies in it. What has no
`_SUCCESS` yet is taken by no run: a push that died is finished by the next one.
"""

import json
from typing import Any

from boto3.s3.transfer import ProgressCallbackInvoker
from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import Progress
from s3transfer.manager import TransferManager

from penstock.aws.s3_store import UPLOADER
from penstock.cli.local_folder import File, Folder
from penstock.cli.target import Target, UsageError
from penstock.lake import SUCCESS

MOST_KEY = 1024
"""Bytes of an object's key, by S3's rule."""


def send(target: Target, folder: Folder, progress: Progress) -> dict[str, Any]:
    """Put a folder's files side by side into the lake, and `_SUCCESS` when all of them are there.

    A folder that is there already is not sent again, only closed again: as with a file, the run that takes it finds out
    whether there is anything new in it.

    Returns:
        Its `uri`, the `key` and `version_id` of what closes it, its `bytes`, its `files`, and how many were `sent`.

    Raises:
        UsageError: a file changed meanwhile or did not arrive, or a key is too long; no run takes the folder then.
    """
    client, bucket = target.client("s3"), target.lake.bucket
    place = target.lake.raw(f"{folder.name}/")
    if long := [file.path for file in folder.files if len((place + file.name).encode()) > MOST_KEY]:
        raise UsageError(f"{long[0]}: the name is too long for S3, whose keys have at most {MOST_KEY} bytes")
    there = _is_there(client, bucket, place, folder)
    if not there:
        _send(client, bucket, place, folder, progress)
    listing = _listing(client, bucket, place, folder)
    if lost := [name for name, tag in listing.items() if tag is None]:
        raise UsageError(f"{lost[0]} did not arrive in {target.lake.uri(place)}: push the folder again")
    said = {UPLOADER: target.caller()}
    body = json.dumps(listing, indent=1).encode()
    closed = client.put_object(Bucket=bucket, Key=place + SUCCESS, Body=body, Metadata=said)
    return {
        "uri": target.lake.uri(place),
        "key": place + SUCCESS,
        "version_id": closed.get("VersionId", "null"),
        "bytes": folder.size,
        "files": len(folder.files),
        "sent": 0 if there else len(folder.files),
    }


def _is_there(client: Any, bucket: str, place: str, folder: Folder) -> bool:
    """Whether the folder was closed, and nothing in it has been replaced or removed since."""
    try:
        said = client.get_object(Bucket=bucket, Key=place + SUCCESS)["Body"].read()
    except client.exceptions.NoSuchKey:
        return False
    return bool(said == json.dumps(_listing(client, bucket, place, folder), indent=1).encode())


def _listing(client: Any, bucket: str, place: str, folder: Folder) -> dict[str, str | None]:
    """What `_SUCCESS` says: the folder's files with the ETags of their objects; None for one that is not there."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=place)
    tags = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}
    return {file.name: tags.get(place + file.name) for file in folder.files}


def _send(client: Any, bucket: str, place: str, folder: Folder, progress: Progress) -> None:
    task = progress.add_task(folder.name, total=folder.size)
    moved = ProgressCallbackInvoker(lambda sent: progress.advance(task, sent))
    with TransferManager(client) as manager:
        under_way = [
            (file, manager.upload(str(file.path), bucket, place + file.name, subscribers=[moved]))
            for file in folder.files
        ]
        for file, future in under_way:
            _finish(file, future)
    for file in folder.files:
        file.be_as_it_was()


def _finish(file: File, future: Any) -> None:
    """Wait for a file; where it changed, that is the reason of a failure and says more."""
    try:
        future.result()
    except OSError as error:
        file.be_as_it_was()
        raise UsageError(f"{file.path} cannot be read: {error.strerror or error}") from None
    except (BotoCoreError, ClientError):
        file.be_as_it_was()
        raise
