"""Signed calls of one AWS service over one kept connection: the predict function's door to S3, Firehose and endpoints.

The two calls that every cold start of predict needs are plain HTTP; boto3 for them would cost as much as numpy and
onnxruntime together. It finds region, endpoint and certificates by the same variables as boto3.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from penstock.role_credentials import NoCredentialsError, RoleCredentials
from penstock.sigv4 import Scope, signed

IDLE_SECONDS = 10.0
"""A connection that was not used for longer is made anew: it may have died while the function was frozen."""
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
        self._seconds = seconds
        self._credentials = RoleCredentials(environ)
        address = urlsplit(self._endpoint(bucket, subdomain))
        self._tls, self._host = address.scheme == "https", address.netloc
        self._root = f"/{bucket}" if bucket and bucket not in address.netloc else ""
        self._connection: HTTPConnection | None = None
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
        target = self._root + quote(path, safe=f"/{PLAIN}")
        try:
            who = self._credentials.get(now)
            all_headers = {"host": self._host, **(headers or {})}
            about = {"scope": self._scope, "credentials": who, "now": now}
            sent = signed(method, target, query, all_headers, body, **about)  # type: ignore[arg-type]
            return self._exchanged(method, f"{target}?{query}" if query else target, sent, body)
        except (OSError, HTTPException, NoCredentialsError) as error:
            self.close()
            raise CallError(f"{self._scope.service} does not answer: {error or type(error).__name__}") from None

    def _exchanged(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if time.time() - self._used > IDLE_SECONDS:
            self.close()
        kept = self._connection is not None
        try:
            return self._exchange(method, target, headers, body)
        except (ConnectionError, HTTPException):  # never a time-out: it would be waited for twice
            if not kept:
                raise
            self.close()
            return self._exchange(method, target, headers, body)

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if self._connection is None:
            self._connection = self._connected()
        self._connection.request(method, target, body, dict(headers))
        response = self._connection.getresponse()
        reply = Reply(response.status, response.read())
        self._used = time.time()
        return reply

    def _connected(self) -> HTTPConnection:
        if not self._tls:
            return HTTPConnection(self._host, timeout=self._seconds)
        import ssl  # noqa: PLC0415 - not before something is asked

        context = ssl.create_default_context(cafile=self._environ.get("AWS_CA_BUNDLE") or None)
        return HTTPSConnection(self._host, timeout=self._seconds, context=context)

    def close(self) -> None:
        """Let the connection go; the next call makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
