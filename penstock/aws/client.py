"""A minimal AWS client: signed calls to one service over one connection, for predict's S3, Firehose and endpoints.

The two calls that every cold start of predict needs are plain HTTP; boto3 for them would cost as much as numpy and
onnxruntime together. Region, endpoint and certificates come from the same environment variables as boto3's.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from penstock.aws.credentials import NoCredentialsError, RoleCredentials
from penstock.aws.http import Connection, HttpError
from penstock.aws.sigv4 import Scope, sign

IDLE_SECONDS = 10.0
"""A connection idle for longer is replaced: it may have died while the function was frozen."""
STALE_SECONDS = 1.0
"""Retry only a stale connection, which fails within this time; a later failure may have reached the server."""
ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PLAIN = "-_.~"
"""Characters that a signature's percent-encoding leaves as they are."""


class CallError(Exception):
    """A call without an answer: no connection, a timeout, or no credentials."""


class Reply(NamedTuple):
    """An answer of any status."""

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
        """Prepare calls; the first one connects.

        Args:
            service: as endpoints and signatures name it: `s3`, `firehose`.
            seconds: how long a connection, and each silence of the service, may take.
            bucket: S3's, whose name is part of the address.
            subdomain: before the service's name, where it has several addresses: `runtime` for `sagemaker`.
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
        name = f"{service}_{subdomain}" if subdomain else service
        own = self._environ.get(f"AWS_ENDPOINT_URL_{name.upper()}") or self._environ.get("AWS_ENDPOINT_URL")
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        # A bucket with dots in its name has no certificate of its own.
        host = f"{bucket}.{service}" if bucket and "." not in bucket else ".".join(filter(None, (subdomain, service)))
        return own or f"https://{host}.{region}.{suffix}"

    def call(
        self, method: str, path: str, *, query: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Send a request, and once more if the open connection turns out to be stale.

        Args:
            method: in capitals.
            path: as text, not yet encoded; within the bucket for S3.
            query: encoded, its parameters in order of their names.
            headers: beside those of every request, with lower-case names.
            body: of the request.

        Raises:
            CallError: no answer.
        """
        now = datetime.now(UTC)
        target = self._root + encode(path, "/")
        try:
            credentials = self._credentials.get(now)
            all_headers = {"host": self._host, **(headers or {})}
            about = {"scope": self._scope, "credentials": credentials, "now": now}
            signed_headers = sign(method, target, query, all_headers, body, **about)  # type: ignore[arg-type]
            return self._retry_stale(method, f"{target}?{query}" if query else target, signed_headers, body)
        except (OSError, HttpError, NoCredentialsError) as error:
            self.close()
            raise CallError(f"{self._scope.service} does not answer: {error or type(error).__name__}") from None

    def _retry_stale(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if time.time() - self._used > IDLE_SECONDS:
            self.close()
        reused, start = self._connection.open, time.monotonic()
        try:
            return self._send(method, target, headers, body)
        except (OSError, HttpError) as error:  # over TLS a stale one is no ConnectionError
            if not reused or isinstance(error, TimeoutError) or time.monotonic() - start > STALE_SECONDS:
                raise
            self.close()
            return self._send(method, target, headers, body)

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        status, _, content = self._connection.request(method, target, headers, body)
        self._used = time.time()
        return Reply(status, content)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()


def encode(text: str, safe: str = "") -> str:
    """Percent-encode text as signatures need it in paths and queries; `urllib.parse` costs 4 ms of a cold start."""
    plain = {*(PLAIN + safe).encode(), *ALPHANUMERIC}
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode())
