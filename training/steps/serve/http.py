"""An HTTP/1.1 server that answers each complete request at once, in the event loop's thread.

A server that reads in one thread and answers in another needs two thread switches for each request, which here cost
four times as much as the response (docs/decisions/0024-serve.md). httptools (llhttp, Node's parser) parses HTTP, uvloop
handles the sockets.
"""

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus

import httptools

Reply = tuple[int, str, bytes]
"""Status, content type and body."""
Answer = Callable[[str, str, Mapping[str, str], bytes, str], Reply]
"""Method, path, headers (those of `KNOWN_HEADERS`), body and query in, reply out. An exception is a 500."""
AMAZON = ("x-amzn-sagemaker-inference-id", "x-amzn-sagemaker-custom-attributes")
APPLICATION_HEADERS = ("content-type", "accept", "expect", *AMAZON)
FRAMING = ("content-length", "transfer-encoding", "connection")
KNOWN_HEADERS = {name.encode(): name for name in (*APPLICATION_HEADERS, *FRAMING)}
"""Headers that are read; all others are ignored."""
REQUEST_SECONDS, CHECK_SECONDS = 30.0, 5.0
"""Longest time to receive a request, and the interval of the check."""
MOST_OVERHEAD = 65_536
"""Most bytes that neither complete the headers nor extend a body; llhttp itself has no limit."""
PROBLEM = "application/problem+json"
INTERNAL_ERROR: Reply = 500, PROBLEM, b'{"type":"about:blank","title":"Internal Server Error","status":500}'


class Connections:
    """The connections of one worker."""

    def __init__(self, answer: Answer, most_bytes: int) -> None:
        """Begin without connections.

        Args:
            answer: answers a request.
            most_bytes: most bytes of a body; of a longer one `answer` gets one byte more, so that it refuses it.
        """
        self.answer, self.most_bytes = answer, most_bytes
        self.open = set[Connection]()
        self.ending = False
        self._second, self._date = 0, b""

    def new_connection(self) -> "Connection":
        return Connection(self)

    def date(self) -> bytes:
        """Return the value of the `date` header, formatted once a second."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        return self._date

    async def watch(self) -> None:
        """Abort connections whose request takes too long; runs for ever."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            late = time.monotonic() - REQUEST_SECONDS
            for connection in [one for one in self.open if 0 < one.began < late]:
                connection.abort()

    async def end(self, seconds: float) -> None:
        """Close idle connections at once, and the others after their response."""
        self.ending, end = True, time.monotonic() + seconds
        for connection in list(self.open):
            connection.close_if_idle()
        while self.open and time.monotonic() < end:
            await asyncio.sleep(0.01)


class Connection(asyncio.Protocol):
    """One connection, with the callbacks of httptools."""

    def __init__(self, group: Connections) -> None:
        self._group = group
        self._replies: list[bytes] = []
        self._will_close = self._headers_complete = False
        self._overhead = 0
        """Bytes since the headers were complete or a body grew."""
        self.began = 0.0
        """Start of the current request, by `time.monotonic`; 0 between requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # the transport is TCP
        self._transport, self._parser = transport, httptools.HttpRequestParser(self)
        self._group.open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._group.open.discard(self)
        del self._parser  # a reference cycle

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse the bytes; write the replies of all completed requests at once."""
        self._overhead += len(data)
        while data:
            data = self._feed(data)
        if self._overhead > MOST_OVERHEAD:
            self._refuse(431, f"more than {MOST_OVERHEAD:,} bytes that are no body")
        if self._replies:
            self._transport.write(b"".join(self._replies))
            self._replies.clear()
        if self._will_close:
            self._transport.close()

    def _feed(self, data: bytes) -> bytes:
        """Feed the parser; return the bytes to feed next."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(str(error))
        return b""

    def on_message_begin(self) -> None:
        self._path, self._headers = b"", dict[str, str]()
        self._body, self._size, self._headers_complete = bytearray(), 0, False
        self.began = time.monotonic()

    def on_url(self, part: bytes) -> None:
        self._path += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a known header; ignore trailers of a chunked body."""
        if not self._headers_complete and (known_name := KNOWN_HEADERS.get(name.lower())) is not None:
            self._headers[known_name] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headers_complete, self._overhead = True, 0
        if self._headers.get("expect", "").lower() == "100-continue" and not self._parser.should_upgrade():
            self._replies.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self._overhead = 0
        self._size += len(part)
        if self._size <= self._group.most_bytes:
            self._body += part

    def on_message_complete(self) -> None:
        self.began = 0.0
        if self._will_close or self._parser.should_upgrade():
            return
        self._will_close = self._group.ending or not self._parser.should_keep_alive()
        method = self._parser.get_method().decode()
        self._reply(self._answer(method), body=method != "HEAD")

    def _without_offer(self, rest: bytes) -> bytes:
        """Return the request without its `Upgrade` header (Java's client always offers h2c).

        No other protocol is supported, and the parser reads no body of a request with an upgrade.
        """
        if (method := self._parser.get_method()) == b"CONNECT":
            self._malformed("this is no proxy")
            return b""
        self._parser = httptools.HttpRequestParser(self)
        headers = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items()).encode("latin-1")
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self._path, headers, rest)

    def _answer(self, method: str) -> Reply:
        path, _, query = self._path.decode("latin-1").partition("?")
        body = bytes(self._body) if self._size <= self._group.most_bytes else bytes(self._group.most_bytes + 1)
        try:
            return self._group.answer(method, path, self._headers, body, query)
        except Exception:  # the next request may succeed
            traceback.print_exc()
            return INTERNAL_ERROR

    def _reply(self, reply: Reply, *, body: bool = True) -> None:
        status, kind, content = reply
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ndate: %b\r\ncontent-length: %d%b\r\n\r\n" % (
            STATUS_LINES[status],
            kind.encode(),
            self._group.date(),
            len(content),
            b"\r\nconnection: close" if self._will_close else b"",
        )
        self._replies.append(head + content if body else head)

    def _malformed(self, why: str) -> None:
        """Reply 400 and close: the start of a next request is unknown."""
        self._refuse(400, "not HTTP/1.1: " + "".join(c for c in why if c.isprintable() and c not in '"\\'))

    def _refuse(self, status: int, detail: str) -> None:
        if not self._will_close:
            self._will_close, self.began = True, 0.0
            title = HTTPStatus(status).phrase
            text = f'{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}'
            self._reply((status, PROBLEM, text.encode()))

    def close_if_idle(self) -> None:
        if not self.began:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


STATUS_LINES = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}
