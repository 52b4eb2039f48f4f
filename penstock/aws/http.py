"""HTTP/1.1 over one socket, as much of it as S3, Firehose and a function's own runtime speak.

`http.client` parses headers with the package `email` and imports `ssl` for plain addresses too: a tenth of the predict
function's cold start (docs/decisions/0027-cold-start.md). What is no cold start uses boto3.
"""

import socket
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

MOST_LINE = 65_536
BODILESS = (204, 304)
"""Answers that have no body whatever their headers say (RFC 9112, 6.3); nothing asked here is a HEAD."""


class HttpError(Exception):
    """A connection that ended early, or something that is not HTTP."""


class Response(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Connection:
    """One connection, made when it is first used; after an error, or when the server says so, made anew."""

    def __init__(
        self, address: str, *, seconds: float | None, tls: bool = False, authorities: str | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            address: host, or host:port.
            seconds: how long connecting, and each silence, may take; None for ever.
            tls: whether to encrypt.
            authorities: file of certificates to trust; the system's unless given.
        """
        self._address, self._seconds, self._tls, self._authorities = address, seconds, tls, authorities
        self._socket: socket.socket | None = None

    @property
    def open(self) -> bool:
        return self._socket is not None

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """One request and its answer.

        Raises:
            OSError: nobody there, or silence for too long.
            HttpError: it ended early.
        """
        self.send(method, target, headers, body)
        return self.receive()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> socket.socket:
        """The request alone; its answer comes by the socket, and `receive` reads it.

        Raises:
            OSError: as `ask`.
        """
        try:
            if self._socket is None:
                self._socket = self._connected()
            given = {"host": self._address, "content-length": str(len(body)), **headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
            self._socket.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            return self._socket
        except BaseException:
            self.close()
            raise

    def receive(self) -> Response:
        """The answer to what was sent.

        Raises:
            OSError, HttpError: as `ask`.
        """
        if self._socket is None:
            raise HttpError("nothing was asked")
        kept = False
        try:
            with self._socket.makefile("rb") as stream:
                response, kept = _Reader(stream).response()
            return response
        finally:
            if not kept:
                self.close()

    def close(self) -> None:
        """Let it go; the next request makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        host, _, port = self._address.partition(":")
        made = socket.create_connection((host, int(port or (443 if self._tls else 80))), self._seconds)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._tls:
            return made
        import ssl  # noqa: PLC0415 - a tenth of a cold start that asks plain addresses only

        try:
            return ssl.create_default_context(cafile=self._authorities).wrap_socket(made, server_hostname=host)
        except BaseException:
            made.close()
            raise


class _Reader:
    """One answer off a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def response(self) -> tuple[Response, bool]:
        """The answer, and whether the connection can be used again."""
        version, status = self._status()
        headers = self._headers()
        while status // 100 == 1:  # it goes on
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
        found: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(":")
            found[name.strip().lower()] = value.strip()
        return found

    def _chunks(self) -> bytes:
        parts = []
        while size := _number(self._line().partition(";")[0], 16):
            parts.append(self._exactly(size))
            self._line()
        self._headers()  # what trails
        return b"".join(parts)

    def _line(self) -> str:
        line = self._stream.readline(MOST_LINE)
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
