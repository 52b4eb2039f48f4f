"""Objects in the lake's bucket: the one door to S3 for the functions."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

GONE = {"NoSuchKey", "NoSuchVersion", "404"}
"""What S3 says of an object or a version that is not there; to a HEAD it can say only the number."""
CHUNK = 4 << 20
MARK = "penstock"
"""The object metadata that holds a mark."""
UPLOADER = "penstock-by"
"""The object metadata that holds the ARN of whoever pushed it."""
MOST_DELETED = 1000
"""Object versions that S3 deletes in one call."""
ONE_PUT = 4 << 30
"""Bytes up to which an object is put in one piece; S3 takes 5 GiB."""


class NoObjectError(Exception):
    """There is no such object (any more)."""


class NotDeletedError(Exception):
    """An object version that was to be deleted is still there."""


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
        """An object's content.

        Args:
            key: where it is.
            version_id: which version; None for the newest.

        Raises:
            NoObjectError: naming the object.
        """
        body: bytes = self._body(key, version_id).read()
        return body

    def noted(self, key: str, version_id: str | None) -> bytes:
        """An object as a record names it; where S3 has that version no more, the newest, for the caller to verify.

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
        """An object's content into a file, never in memory as a whole; arguments and errors as `read`."""
        with path.open("wb") as file:
            shutil.copyfileobj(self._body(key, version_id), file, CHUNK)

    def size(self, key: str, version_id: str | None) -> int | None:
        """An object's bytes; None where it is not there."""
        found = self._head(key, version_id)
        return None if found is None else int(found["ContentLength"])

    def _body(self, key: str, version_id: str | None) -> Any:
        try:
            return self._client.get_object(Bucket=self.bucket, Key=key, **_version(version_id))["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                raise NoObjectError(f"s3://{self.bucket}/{key} is not there") from None
            raise

    def json(self, key: str) -> Any:
        """A JSON object's document."""
        return json.loads(self.read(key))

    def write(self, key: str, data: bytes, content_type: str = "application/octet-stream", mark: str = "") -> str:
        """Put an object; the same content at the same key changes nothing that matters. Returns its version id.

        Args:
            key: where.
            data: its content.
            content_type: its kind.
            mark: a word for `mark` to tell.
        """
        about = {"Metadata": {MARK: mark}} if mark else {}
        reply = self._client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, **about)
        return str(reply.get("VersionId", "null"))

    def mark(self, key: str, version_id: str) -> str:
        """The word that an object was written with; empty where there is none, or no object."""
        return self._metadata(key, version_id).get(MARK, "")

    def uploader(self, key: str, version_id: str) -> str:
        """ARN of whoever pushed an object, as they said it; empty where nobody did, or there is no object."""
        return self._metadata(key, version_id).get(UPLOADER, "")

    def _metadata(self, key: str, version_id: str) -> dict[str, str]:
        return dict((self._head(key, version_id) or {}).get("Metadata", {}))

    def _head(self, key: str, version_id: str | None) -> dict[str, Any] | None:
        """What S3 tells of an object without its content; None where it is not there."""
        try:
            found: dict[str, Any] = self._client.head_object(Bucket=self.bucket, Key=key, **_version(version_id))
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise
        return found

    def write_once(self, key: str, data: bytes) -> str:
        """Put an object unless its newest version has that content already; that version's id.

        What names a version must find it as long as it is the newest: old ones expire.
        """
        try:
            found = self._client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                raise
            return self.write(key, data)
        return str(found.get("VersionId", "null")) if found["Body"].read() == data else self.write(key, data)

    def write_file(self, key: str, path: Path) -> None:
        """Put a file as an object, never in memory as a whole."""
        if path.stat().st_size > ONE_PUT:
            self._client.upload_file(str(path), self.bucket, key)
            return
        with path.open("rb") as file:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=file)

    def write_json(self, key: str, document: Any) -> None:
        self.write(key, json.dumps(document, indent=1).encode(), "application/json")

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys under a prefix, in order, from behind `after`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after
        )
        for page in pages:
            yield from (item["Key"] for item in page.get("Contents", []))

    def versions(self, prefix: str) -> Iterator[Version]:
        """The newest version of every object under a prefix, in order of their keys."""
        return (version for version, is_newest in self.every_version(prefix) if is_newest)

    def every_version(self, prefix: str) -> Iterator[tuple[Version, bool]]:
        """All versions of every object under a prefix, old and deleted ones too, each with whether it is the newest."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Versions", []):
                version = Version(item["Key"], item["VersionId"], item["ETag"].strip('"'), item["Size"])
                yield version, item["IsLatest"]

    def delete_versions(self, versions: Sequence[tuple[str, str]]) -> None:
        """Delete object versions (key, version id) for good; those that are gone already are no error.

        Raises:
            NotDeletedError: S3 kept one, and says why.
        """
        for start in range(0, len(versions), MOST_DELETED):
            objects = [{"Key": key, "VersionId": version} for key, version in versions[start : start + MOST_DELETED]]
            reply = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            if kept := reply.get("Errors"):
                first = kept[0]
                raise NotDeletedError(f"S3 kept {first['Key']} and {len(kept) - 1} others: {first.get('Message')}")


def _version(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id and version_id != "null" else {}


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def changed_file(key: str, found: str, registered: str) -> str:
    """Say that a model file is not the one that was registered, by its key and both digests."""
    return f"{key} was changed since it was registered: its SHA-256 is {found}, registered was {registered}"
