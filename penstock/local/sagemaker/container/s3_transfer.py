"""Transfers data between the cloud's S3 and a job's directory, with the permissions of the job's role."""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.local.host.cloud import REGION
from penstock.local.sagemaker.container.roles import Credentials
from penstock.local.sagemaker.core.s3_objects import split
from penstock.local.sagemaker.core.settings import JobSettings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class TransferError(Exception):
    """Data could not be transferred; the message names the object and the reason."""


class Transfer:
    """An S3 client with the permissions of a role."""

    def __init__(self, settings: JobSettings, credentials: Credentials) -> None:
        self._s3: S3Client = boto3.session.Session().client(
            "s3",
            region_name=REGION,
            endpoint_url=settings.endpoint,
            verify=str(settings.trusted),
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}, proxies={}),
        )

    def download(self, source: dict[str, Any], target: Path, *, gunzip: bool = False) -> None:
        """Fetch an `S3DataSource` (or a processing `S3Input`) into a directory.

        Raises:
            TransferError: an object is missing or the role may not read it.
        """
        target.mkdir(parents=True, exist_ok=True)
        uri = source["S3Uri"]
        if source.get("S3DataType", "S3Prefix") == "ManifestFile":
            objects = self._manifest(uri)
        else:
            objects = list(self._prefix(uri))
            if not objects:
                raise TransferError(f"no object is under the prefix {uri}")
        for bucket, key, relative in objects:
            self._fetch(bucket, key, target / relative, gunzip=gunzip)

    def fetch(self, uri: str, target: Path) -> None:
        """Fetch one object into a file.

        Raises:
            TransferError: the object is missing or the role may not read it.
        """
        bucket, key = split(uri)
        self._fetch(bucket, key, target, gunzip=False)

    def upload(self, file: Path, uri: str, kms_key: str | None = None) -> None:
        """Store a file as one object."""
        bucket, key = split(uri)
        extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else None
        try:
            self._s3.upload_file(str(file), bucket, key, ExtraArgs=extra)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise TransferError(f"{uri}: {error}") from error

    def upload_tree(self, directory: Path, uri: str, kms_key: str | None = None) -> None:
        """Store every file below a directory under a prefix."""
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            self.upload(file, f"{uri.rstrip('/')}/{file.relative_to(directory).as_posix()}", kms_key)

    def exists_under(self, uri: str) -> bool:
        """Return whether there is an object under a prefix."""
        return next(self._prefix(uri), None) is not None

    def _prefix(self, uri: str) -> Iterator[tuple[str, str, str]]:
        """Yield bucket, key and path below the channel's directory of each object under a prefix."""
        bucket, prefix = split(uri)
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    if not item["Key"].endswith("/"):
                        yield bucket, item["Key"], _relative(item["Key"], prefix)
        except (ClientError, BotoCoreError) as error:
            raise TransferError(f"{uri}: {error}") from error

    def _manifest(self, uri: str) -> list[tuple[str, str, str]]:
        """Read a manifest: its first entry has the prefix, the others are paths below it."""
        bucket, key = split(uri)
        try:
            entries = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            prefix = entries[0]["prefix"]
        except (ClientError, BotoCoreError) as error:
            raise TransferError(f"the manifest {uri}: {error}") from error
        except (ValueError, LookupError, TypeError):
            raise TransferError(f'the manifest {uri} does not begin with [{{"prefix": "s3://…"}}') from None
        base_bucket, base = split(prefix)
        return [(base_bucket, base + relative, relative.lstrip("/")) for relative in entries[1:]]

    def _fetch(self, bucket: str, key: str, target: Path, *, gunzip: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as file:
                self._s3.download_fileobj(bucket, key, file)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise TransferError(f"s3://{bucket}/{key}: {error}") from error
        if gunzip:
            _gunzip(target)


def _relative(key: str, prefix: str) -> str:
    """Return an object's path below its channel: the rest after the prefix, in whole path elements."""
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    if key.startswith(prefix.rstrip("/") + "/"):
        return key[len(prefix.rstrip("/")) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _gunzip(file: Path) -> None:
    plain = file.with_suffix("") if file.suffix == ".gz" else file.with_name(f"{file.name}.plain")
    with gzip.open(file) as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target)
    file.unlink()
    if file.suffix != ".gz":
        plain.rename(file)
