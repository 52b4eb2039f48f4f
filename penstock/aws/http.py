"""A minimal HTTP/1.1 client over one socket, for S3, Firehose, endpoints and a function's own runtime.

`http.client` parses headers with the package `email` and imports `ssl` for plain addresses too: a tenth of the predict
function's cold start (docs/decisions/0027-cold-start.md). Everything else uses boto3.
"""

import socket
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

LINE_LIMIT = 65_536
"""Bytes."""
BODILESS = (204, 304)
"""Statuses without a body, whatever the headers say (RFC 9112, 6.3); no request here is a HEAD."""


class HttpError(Exception):
    """A connection that ended early, or a response that is not HTTP."""


class Response(NamedTuple):
    """A response of any status."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Connection:
    """One connection, opened by its first request; after an error, or when the server closes it, opened anew."""

    def __init__(
        self, address: str, *, seconds: float | None, tls: bool = False, authorities: str | None = None
    ) -> None:
        """Prepare a connection; the first request opens it.

        Args:
            address: host, or host:port.
            seconds: how long connecting, and each silence, may take; None for no limit.
            tls: whether to encrypt.
            authorities: file of certificates to trust; the system's unless given.
        """
        self._address, self._seconds, self._tls, self._authorities = address, seconds, tls, authorities
        self._socket: socket.socket | None = None

    @property
    def open(self) -> bool:
        return self._socket is not None

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request and read its response.

        Raises:
            OSError: no connection, or silence for too long.
            HttpError: the connection ended early.
        """
        self.send(method, target, headers, body)
        return self.receive()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> socket.socket:
        """Send a request alone; its response arrives at the returned socket, and `receive` reads it.

        Raises:
            OSError: as `request`.
        """
        try:
            if self._socket is None:
                self._socket = self._connect()
            all_headers = {"host": self._address, "content-length": str(len(body)), **headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
            self._socket.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            return self._socket
        except BaseException:
            self.close()
            raise

    def receive(self) -> Response:
        """Read the response to what was sent.

        Raises:
            OSError, HttpError: as `request`.
        """
        if self._socket is None:
            raise HttpError("no request was sent")
        reusable = False
        try:
            with self._socket.makefile("rb") as stream:
                response, reusable = _Reader(stream).response()
            return response
        finally:
            if not reusable:
                self.close()

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        host, _, port = self._address.partition(":")
        connection = socket.create_connection((host, int(port or (443 if self._tls else 80))), self._seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._tls:
            return connection
        import ssl  # noqa: PLC0415 - a tenth of a cold start that uses plain addresses only

        try:
            return ssl.create_default_context(cafile=self._authorities).wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


class _Reader:
    """Reads one response from a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def response(self) -> tuple[Response, bool]:
        """Read the response, and whether the connection can be used again."""
        version, status = self._status()
        headers = self._headers()
        while status // 100 == 1:  # interim responses
            version, status = self._status()
            headers = self._headers()
        if status in BODILESS:
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(_number(headers["content-length"], 10))
        else:
            return Response(status, headers, self._stream.read()), False
        return Response(status, headers, body), version == "HTTP/1.1" and headers.get(
            "connection", ""
        ).lower() != "close"

    def _status(self) -> tuple[str, int]:
        line = self._line()
        version, _, rest = line.partition(" ")
        if not version.startswith("HTTP/1."):
            raise HttpError(f"this is no HTTP/1.1: {line[:100]!r}")
        return version, _number(rest[:3], 10)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _chunks(self) -> bytes:
        parts = []
        while size := _number(self._line().partition(";")[0], 16):
            parts.append(self._exactly(size))
            self._line()
        self._headers()  # the trailer
        return b"".join(parts)

    def _line(self) -> str:
        line = self._stream.readline(LINE_LIMIT)
        if not line.endswith(b"\n"):
            raise HttpError(
                "the connection ended within an answer" if line else "the connection ended without an answer"
            )
        return line.decode("latin-1").rstrip("\r\n")

    def _exactly(self, size: int) -> bytes:
        body = self._stream.read(size)
        if len(body) != size:
            raise HttpError(f"the connection ended after {len(body):,} of {size:,} bytes")
        return body


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise HttpError(f"{text[:100]!r} is not a number") from None
