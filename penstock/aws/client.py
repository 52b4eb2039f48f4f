"""Signed calls of one AWS service over one kept connection: the predict function's door to S3, Firehose and endpoints.

The two calls that every cold start of predict needs are plain HTTP; boto3 for them would cost as much as numpy and
onnxruntime together. It finds region, endpoint and certificates by the same variables as boto3.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from penstock.aws.credentials import NoCredentialsError, RoleCredentials
from penstock.aws.http import Connection, HttpError
from penstock.aws.sigv4 import Scope, signed

IDLE_SECONDS = 10.0
"""A connection that was not used for longer is made anew: it may have died while the function was frozen."""
DEAD_SECONDS = 1.0
"""Within which a dead connection shows: what breaks later was being answered, and is not asked again."""
ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PLAIN = "-_.~"
"""What a signature's percent-encoding leaves as it is."""


class CallError(Exception):
    """A call that got no answer: nobody there, too slow, or nothing to sign with."""


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    body: bytes


class AwsService:
    """One service in the function's region."""

    def __init__(
        self,
        service: str,
        *,
        seconds: float,
        bucket: str = "",
        subdomain: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Nothing is connected yet.

        Args:
            service: as endpoints and signatures name it: `s3`, `firehose`.
            seconds: how long a connection, and each silence of the service, may take.
            bucket: S3's, whose name is part of the address.
            subdomain: before the service's name, where it has several addresses: `runtime` of `sagemaker`.
            environ: the process's environment.
        """
        self._environ = environ
        self._scope = Scope(environ.get("AWS_REGION") or environ["AWS_DEFAULT_REGION"], service)
        self._credentials = RoleCredentials(environ)
        scheme, _, rest = self._endpoint(bucket, subdomain).partition("://")
        self._host = rest.partition("/")[0]
        self._root = f"/{bucket}" if bucket and bucket not in self._host else ""
        authorities = environ.get("AWS_CA_BUNDLE") or None
        self._connection = Connection(self._host, seconds=seconds, tls=scheme == "https", authorities=authorities)
        self._used = 0.0

    def _endpoint(self, bucket: str, subdomain: str) -> str:
        region, service = self._scope
        named = f"{service}_{subdomain}" if subdomain else service
        own = self._environ.get(f"AWS_ENDPOINT_URL_{named.upper()}") or self._environ.get("AWS_ENDPOINT_URL")
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        # A bucket with dots in its name has no certificate of its own.
        host = f"{bucket}.{service}" if bucket and "." not in bucket else ".".join(filter(None, (subdomain, service)))
        return own or f"https://{host}.{region}.{suffix}"

    def call(
        self, method: str, path: str, *, query: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Ask once; on a kept connection that turns out dead once more.

        Args:
            method: in capitals.
            path: as text, not encoded yet; within the bucket for S3.
            query: encoded, its parameters in order of their names.
            headers: beside those of every request, with lower-case names.
            body: what is sent.

        Raises:
            CallError: no answer.
        """
        now = datetime.now(UTC)
        target = self._root + encoded(path, "/")
        try:
            who = self._credentials.get(now)
            all_headers = {"host": self._host, **(headers or {})}
            about = {"scope": self._scope, "credentials": who, "now": now}
            sent = signed(method, target, query, all_headers, body, **about)  # type: ignore[arg-type]
            return self._exchanged(method, f"{target}?{query}" if query else target, sent, body)
        except (OSError, HttpError, NoCredentialsError) as error:
            self.close()
            raise CallError(f"{self._scope.service} does not answer: {error or type(error).__name__}") from None

    def _exchanged(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if time.time() - self._used > IDLE_SECONDS:
            self.close()
        kept, began = self._connection.open, time.monotonic()
        try:
            return self._exchange(method, target, headers, body)
        except (OSError, HttpError) as error:  # over TLS a dead one is no ConnectionError
            if not kept or isinstance(error, TimeoutError) or time.monotonic() - began > DEAD_SECONDS:
                raise
            self.close()
            return self._exchange(method, target, headers, body)

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        status, _, answer = self._connection.ask(method, target, headers, body)
        self._used = time.time()
        return Reply(status, answer)

    def close(self) -> None:
        """Let the connection go; the next call makes another."""
        self._connection.close()


def encoded(text: str, safe: str = "") -> str:
    """Text as a signature has it in paths and queries; `urllib.parse` is four milliseconds of a cold start."""
    kept = {*(PLAIN + safe).encode(), *ALPHANUMERIC}
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode())
