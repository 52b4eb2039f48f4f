"""Objects in the lake's bucket: the one door to S3 for the functions."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError


class NoObjectError(Exception):
    """There is no such object (any more)."""


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
        version = {"VersionId": version_id} if version_id and version_id != "null" else {}
        try:
            body: bytes = self._client.get_object(Bucket=self.bucket, Key=key, **version)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "NoSuchVersion"}:
                raise NoObjectError(f"s3://{self.bucket}/{key} is not there") from None
            raise
        return body

    def json(self, key: str) -> Any:
        """A JSON object's document."""
        return json.loads(self.read(key))

    def write(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Put an object; the same content at the same key changes nothing that matters. Returns its version id."""
        reply = self._client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type)
        return str(reply.get("VersionId", "null"))

    def write_json(self, key: str, document: Any) -> None:
        self.write(key, json.dumps(document, indent=1).encode(), "application/json")

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys under a prefix, in order, from behind `after`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after
        )
        for page in pages:
            yield from (item["Key"] for item in page.get("Contents", []))


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()
