"""HTTP/1.1 for one kind of answer: a request that is whole is answered at once, in the event loop's own thread.

A server that reads in one thread and answers in another pays two changes of thread for each request, here four times
what the answer itself costs (docs/decisions/0024-serve.md). What is hard in HTTP is httptools' (llhttp, Node's parser);
what is hard in sockets is uvloop's.
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
"""Method, path, headers (those of `KEPT`), body and query in, reply out. What it raises is a 500."""
AMAZON = ("x-amzn-sagemaker-inference-id", "x-amzn-sagemaker-custom-attributes")
LOOKED_AT = ("content-type", "accept", "expect", *AMAZON)
FRAMING = ("content-length", "transfer-encoding", "connection")
KEPT = {name.encode(): name for name in (*LOOKED_AT, *FRAMING)}
"""Headers that matter; nothing is made of the others."""
PATIENCE_SECONDS, LOOK_SECONDS = 30.0, 5.0
"""How long a request may be under way, and how often that is looked at."""
MOST_HEAD = 65_536
"""Bytes that may come without making headers whole or a body longer; llhttp would go on for ever."""
PROBLEM = "application/problem+json"
BROKEN: Reply = 500, PROBLEM, b'{"type":"about:blank","title":"Internal Server Error","status":500}'


class Connections:
    """Those of one worker."""

    def __init__(self, answer: Answer, most_bytes: int) -> None:
        """Begin with none.

        Args:
            answer: what answers.
            most_bytes: of a body; of a longer one it is given one byte more, enough to refuse it.
        """
        self.answer, self.most_bytes = answer, most_bytes
        self.open = set[Connection]()
        self.ending = False
        self._second, self._date = 0, b""

    def made(self) -> "Connection":
        return Connection(self)

    def date(self) -> bytes:
        """The header's value, made once a second."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        return self._date

    async def watch(self) -> None:
        """Let go of who began a request and does not end it, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            late = time.monotonic() - PATIENCE_SECONDS
            for connection in [one for one in self.open if 0 < one.began < late]:
                connection.abort()

    async def end(self, seconds: float) -> None:
        """Close those that wait for a request, and the others after their answer."""
        self.ending, end = True, time.monotonic() + seconds
        for connection in list(self.open):
            connection.close_if_idle()
        while self.open and time.monotonic() < end:
            await asyncio.sleep(0.01)


class Connection(asyncio.Protocol):
    """One, as httptools calls it back."""

    def __init__(self, group: Connections) -> None:
        self._group = group
        self._replies: list[bytes] = []
        self._closes = self._headed = False
        self._bare = 0
        """Bytes since headers were last whole, or a body last longer."""
        self.began = 0.0
        """When the request that is under way began, by `time.monotonic`; 0 between requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # it is one of TCP
        self._transport, self._parser = transport, httptools.HttpRequestParser(self)
        self._group.open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._group.open.discard(self)
        del self._parser  # each holds the other

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Whatever came; what it completes is answered by one write."""
        self._bare += len(data)
        while data:
            data = self._fed(data)
        if self._bare > MOST_HEAD:
            self._refuse(431, f"more than {MOST_HEAD:,} bytes that are no body")
        if self._replies:
            self._transport.write(b"".join(self._replies))
            self._replies.clear()
        if self._closes:
            self._transport.close()

    def _fed(self, data: bytes) -> bytes:
        """What the parser is to be given after this."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(str(error))
        return b""

    def on_message_begin(self) -> None:
        self._path, self._headers = b"", dict[str, str]()
        self._body, self._size, self._headed = bytearray(), 0, False
        self.began = time.monotonic()

    def on_url(self, part: bytes) -> None:
        self._path += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of the headers; what trails a body in chunks is none."""
        if not self._headed and (kept := KEPT.get(name.lower())) is not None:
            self._headers[kept] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headed, self._bare = True, 0
        if self._headers.get("expect", "").lower() == "100-continue" and not self._parser.should_upgrade():
            self._replies.append(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self._bare = 0
        self._size += len(part)
        if self._size <= self._group.most_bytes:
            self._body += part

    def on_message_complete(self) -> None:
        self.began = 0.0
        if self._closes or self._parser.should_upgrade():
            return
        self._closes = self._group.ending or not self._parser.should_keep_alive()
        method = self._parser.get_method().decode()
        self._reply(self._answered(method), body=method != "HEAD")

    def _without_offer(self, rest: bytes) -> bytes:
        """The request again, without its offer to change the protocol (Java's client makes one each time: h2c).

        There is nothing to change to, and the parser takes no body of a request with an offer.
        """
        if (method := self._parser.get_method()) == b"CONNECT":
            self._malformed("this is no proxy")
            return b""
        self._parser = httptools.HttpRequestParser(self)
        headers = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items()).encode("latin-1")
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self._path, headers, rest)

    def _answered(self, method: str) -> Reply:
        path, _, query = self._path.decode("latin-1").partition("?")
        body = bytes(self._body) if self._size <= self._group.most_bytes else bytes(self._group.most_bytes + 1)
        try:
            return self._group.answer(method, path, self._headers, body, query)
        except Exception:  # the next request may fare better
            traceback.print_exc()
            return BROKEN

    def _reply(self, reply: Reply, *, body: bool = True) -> None:
        status, kind, content = reply
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ndate: %b\r\ncontent-length: %d%b\r\n\r\n" % (
            LINES[status],
            kind.encode(),
            self._group.date(),
            len(content),
            b"\r\nconnection: close" if self._closes else b"",
        )
        self._replies.append(head + content if body else head)

    def _malformed(self, why: str) -> None:
        """Say so and close: where the next request would begin is not known."""
        self._refuse(400, "not HTTP/1.1: " + "".join(c for c in why if c.isprintable() and c not in '"\\'))

    def _refuse(self, status: int, detail: str) -> None:
        if not self._closes:
            self._closes, self.began = True, 0.0
            title = HTTPStatus(status).phrase
            text = f'{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}'
            self._reply((status, PROBLEM, text.encode()))

    def close_if_idle(self) -> None:
        if not self.began:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


LINES = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}
