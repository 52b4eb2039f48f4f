"""Objects in the lake's bucket: the gateway to S3."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

NOT_FOUND = {"NoSuchKey", "NoSuchVersion", "404"}
"""S3's error codes for an object or a version that is not there; for a HEAD only the number."""
CHUNK = 4 << 20
MARK = "penstock"
"""Object metadata: a mark."""
UPLOADER = "penstock-by"
"""Object metadata: the ARN of whoever pushed the object."""
DELETE_LIMIT = 1000
"""Object versions that S3 deletes in one call."""
PUT_LIMIT = 4 << 30
"""Bytes up to which an object is put in one call; S3 takes 5 GiB."""


class NoObjectError(Exception):
    """The object does not exist, or no longer exists."""


class NotDeletedError(Exception):
    """An object version that should have been deleted still exists."""


@dataclass(frozen=True)
class Version:
    """One version of one object, as S3 lists it."""

    key: str
    version_id: str
    etag: str
    size: int
    """Bytes."""


class Store:
    """The bucket of a stage."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self._client: Any = boto3.client("s3")

    def read(self, key: str, version_id: str | None = None) -> bytes:
        """Read an object's content.

        Args:
            key: where it is.
            version_id: which version; None for the newest.

        Raises:
            NoObjectError: naming the object.
        """
        body: bytes = self._body(key, version_id).read()
        return body

    def read_recorded(self, key: str, version_id: str | None) -> bytes:
        """Read an object by its recorded version; where that has expired, the newest, for the caller to verify.

        Args:
            key: where it is.
            version_id: which version; None or empty for the newest.

        Raises:
            NoObjectError: naming the object.
        """
        try:
            return self.read(key, version_id or None)
        except NoObjectError:
            return self.read(key)

    def download(self, key: str, version_id: str | None, path: Path) -> None:
        """Read an object into a file, never in memory as a whole; arguments and errors as `read`."""
        with path.open("wb") as file:
            shutil.copyfileobj(self._body(key, version_id), file, CHUNK)

    def size(self, key: str, version_id: str | None) -> int | None:
        """Return an object's size in bytes; None if it does not exist."""
        head = self._head(key, version_id)
        return None if head is None else int(head["ContentLength"])

    def _body(self, key: str, version_id: str | None) -> Any:
        try:
            return self._client.get_object(Bucket=self.bucket, Key=key, **_version(version_id))["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                raise NoObjectError(f"s3://{self.bucket}/{key} is not there") from None
            raise

    def json(self, key: str) -> Any:
        """Read an object as JSON."""
        return json.loads(self.read(key))

    def write(self, key: str, data: bytes, content_type: str = "application/octet-stream", mark: str = "") -> str:
        """Put an object; return its version id. Putting the same content again is harmless.

        Args:
            key: where.
            data: its content.
            content_type: its kind.
            mark: a word that `mark` reads back.
        """
        about = {"Metadata": {MARK: mark}} if mark else {}
        reply = self._client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, **about)
        return str(reply.get("VersionId", "null"))

    def mark(self, key: str, version_id: str) -> str:
        """Read an object's mark; empty where it has none, or there is no object."""
        return self._metadata(key, version_id).get(MARK, "")

    def uploader(self, key: str, version_id: str) -> str:
        """Read the ARN that pushed an object, as its client stated it; empty where there is none, or no object."""
        return self._metadata(key, version_id).get(UPLOADER, "")

    def _metadata(self, key: str, version_id: str) -> dict[str, str]:
        return dict((self._head(key, version_id) or {}).get("Metadata", {}))

    def _head(self, key: str, version_id: str | None) -> dict[str, Any] | None:
        """Return an object's attributes without its content; None if it does not exist."""
        try:
            head: dict[str, Any] = self._client.head_object(Bucket=self.bucket, Key=key, **_version(version_id))
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                return None
            raise
        return head

    def write_once(self, key: str, data: bytes) -> str:
        """Put an object unless its newest version has that content already; return the version's id.

        A record names the version by its id, and versions that are not the newest expire.
        """
        try:
            existing = self._client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_FOUND:
                raise
            return self.write(key, data)
        return str(existing.get("VersionId", "null")) if existing["Body"].read() == data else self.write(key, data)

    def write_file(self, key: str, path: Path) -> None:
        """Put a file as an object, never in memory as a whole."""
        if path.stat().st_size > PUT_LIMIT:
            self._client.upload_file(str(path), self.bucket, key)
            return
        with path.open("rb") as file:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=file)

    def write_json(self, key: str, document: Any) -> None:
        self.write(key, json.dumps(document, indent=1).encode(), "application/json")

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """List keys under a prefix, in order, those after `after`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after
        )
        for page in pages:
            yield from (item["Key"] for item in page.get("Contents", []))

    def versions(self, prefix: str) -> Iterator[Version]:
        """List the newest version of every object under a prefix, in order of their keys."""
        return (version for version, is_newest in self.all_versions(prefix) if is_newest)

    def all_versions(self, prefix: str) -> Iterator[tuple[Version, bool]]:
        """List all versions of all objects under a prefix, deleted ones too, each with whether it is the newest."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Versions", []):
                version = Version(item["Key"], item["VersionId"], item["ETag"].strip('"'), item["Size"])
                yield version, item["IsLatest"]

    def delete_versions(self, versions: Sequence[tuple[str, str]]) -> None:
        """Delete object versions (key, version id) permanently; missing ones are no error.

        Raises:
            NotDeletedError: S3 did not delete one; the message says why.
        """
        for start in range(0, len(versions), DELETE_LIMIT):
            objects = [{"Key": key, "VersionId": version} for key, version in versions[start : start + DELETE_LIMIT]]
            reply = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := reply.get("Errors"):
                first = errors[0]
                raise NotDeletedError(f"S3 kept {first['Key']} and {len(errors) - 1} others: {first.get('Message')}")


def _version(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id and version_id != "null" else {}


def sha256(data: bytes) -> str:
    """Return the SHA-256 as hex digits."""
    return hashlib.sha256(data).hexdigest()


def describe_change(key: str, actual: str, registered: str) -> str:
    """Describe a model file that is not the registered one, by its key and both digests."""
    return f"{key} was changed since it was registered: its SHA-256 is {actual}, registered was {registered}"
