"""Uploads a folder to the lake, completely or not at all.

The prefix in the lake is named by the folder's content, so it holds nothing from a push of other content. No run takes
a folder without `_SUCCESS`: after a push that was interrupted, the next push completes it.
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

MAX_KEY_BYTES = 1024
"""S3's limit for an object's key."""


def send(target: Target, folder: Folder, progress: Progress) -> dict[str, Any]:
    """Upload a folder's files in parallel, then `_SUCCESS`.

    If the folder is in the lake already, only `_SUCCESS` is written again: as with a single file, the run that takes it
    decides whether anything in it is new.

    Returns:
        `uri`; `key` and `version_id` of `_SUCCESS`; `bytes`; the number of `files`; how many of them were `sent`.

    Raises:
        UsageError: a file changed during the upload or did not arrive, or a key is too long. No run takes the folder.
    """
    client, bucket = target.client("s3"), target.lake.bucket
    place = target.lake.raw(f"{folder.name}/")
    if long := [file.path for file in folder.files if len((place + file.name).encode()) > MAX_KEY_BYTES]:
        raise UsageError(f"{long[0]}: the name is too long for S3, whose keys have at most {MAX_KEY_BYTES} bytes")
    complete = _is_complete(client, bucket, place, folder)
    if not complete:
        _send(client, bucket, place, folder, progress)
    listing = _listing(client, bucket, place, folder)
    if missing := [name for name, tag in listing.items() if tag is None]:
        raise UsageError(f"{missing[0]} did not arrive in {target.lake.uri(place)}: push the folder again")
    body = json.dumps(listing, indent=1).encode()
    metadata = {UPLOADER: target.caller()}
    success = client.put_object(Bucket=bucket, Key=place + SUCCESS, Body=body, Metadata=metadata)
    return {
        "uri": target.lake.uri(place),
        "key": place + SUCCESS,
        "version_id": success.get("VersionId", "null"),
        "bytes": folder.size,
        "files": len(folder.files),
        "sent": 0 if complete else len(folder.files),
    }


def _is_complete(client: Any, bucket: str, place: str, folder: Folder) -> bool:
    """Return whether the folder has `_SUCCESS`, and no object in it was replaced or removed since."""
    try:
        content = client.get_object(Bucket=bucket, Key=place + SUCCESS)["Body"].read()
    except client.exceptions.NoSuchKey:
        return False
    return bool(content == json.dumps(_listing(client, bucket, place, folder), indent=1).encode())


def _listing(client: Any, bucket: str, place: str, folder: Folder) -> dict[str, str | None]:
    """Return the content of `_SUCCESS`: each file with the ETag of its object, None where there is no object."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=place)
    tags = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}
    return {file.name: tags.get(place + file.name) for file in folder.files}


def _send(client: Any, bucket: str, place: str, folder: Folder, progress: Progress) -> None:
    task = progress.add_task(folder.name, total=folder.size)
    advance = ProgressCallbackInvoker(lambda sent: progress.advance(task, sent))
    with TransferManager(client) as manager:
        uploads = [
            (file, manager.upload(str(file.path), bucket, place + file.name, subscribers=[advance]))
            for file in folder.files
        ]
        for file, future in uploads:
            _wait(file, future)
    for file in folder.files:
        file.check_unchanged()


def _wait(file: File, future: Any) -> None:
    """Wait for an upload; if it failed because the file changed, raise that reason, which says more."""
    try:
        future.result()
    except OSError as error:
        file.check_unchanged()
        raise UsageError(f"{file.path} cannot be read: {error.strerror or error}") from None
    except (BotoCoreError, ClientError):
        file.check_unchanged()
        raise
