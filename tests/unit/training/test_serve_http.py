"""The HTTP server: requests split at any byte, malformed requests, limits, shutdown."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import pytest

from training.steps.serve import http as serve_http
from training.steps.serve.http import APPLICATION_HEADERS, Connection, Connections, Reply

BODY = b'{"instances": []}'
POST = b"POST /invocations?a=1 HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: 17\r\n\r\n" + BODY
CHUNKED = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"


class Wire:
    """A transport that stores the written bytes."""

    def __init__(self) -> None:
        self.sent, self.closed, self.reading, self.writes = b"", False, True, 0

    def write(self, data: bytes) -> None:
        self.sent += data
        self.writes += 1

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Client:
    """One connection to an application that records its requests."""

    def __init__(self, answer: Callable[[str, str, Mapping[str, str], bytes, str], Reply] | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.queries: list[str] = []
        self.group = Connections(answer or self._answer, most_bytes=100)
        self.wire = Wire()
        self.connection: Connection = self.group.new_connection()
        transport: Any = self.wire
        self.connection.connection_made(transport)

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: str) -> Reply:
        self.queries.append(query)
        self.requests.append(
            (method, path, {name: headers[name] for name in APPLICATION_HEADERS if name in headers}, body)
        )
        return 200, "application/json", b"%d" % len(self.requests)

    def send(self, *parts: bytes) -> list[tuple[int, dict[str, str], bytes]]:
        for part in parts:
            self.connection.data_received(part)
        return replies(self.wire.sent)


def replies(data: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    result = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        result.append((int(first.split()[1]), headers, data[:length]))
        data = data[length:]
    return result


@pytest.mark.parametrize("cut", range(1, len(POST)))
def test_request_may_be_cut_at_any_byte(cut: int) -> None:
    client = Client()
    [(status, headers, body)] = client.send(POST[:cut], POST[cut:])
    assert client.requests == [("POST", "/invocations", {"content-type": "text/csv"}, BODY)]
    assert (status, body, headers["content-type"]) == (200, b"1", "application/json")
    assert headers["date"].endswith("GMT")
    assert not client.wire.closed


def test_query_is_separated_from_the_path() -> None:
    client = Client()
    client.send(b"GET /ping?explain=true&a=%3F?b HTTP/1.1\r\n\r\n", b"GET /ping HTTP/1.1\r\n\r\n")
    assert [path for _, path, _, _ in client.requests] == ["/ping", "/ping"]
    assert client.queries == ["explain=true&a=%3F?b", ""]


def test_chunked_body_is_joined() -> None:
    client = Client()
    client.send(*(CHUNKED[i : i + 1] for i in range(len(CHUNKED))))
    assert client.requests == [("POST", "/x", {}, b"abcdef")]


def test_pipelined_requests_are_answered_in_order_by_one_write() -> None:
    client = Client()
    assert [body for _, _, body in client.send(POST + POST + POST)] == [b"1", b"2", b"3"]
    assert client.wire.writes == 1


@pytest.mark.parametrize(
    "data",
    [b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET /ping HTTP/1.0\r\n\r\n"],
)
def test_connection_is_closed_on_request(data: bytes) -> None:
    client = Client()
    [(status, headers, _)] = client.send(data)
    assert (status, headers["connection"], client.wire.closed) == (200, "close", True)


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", POST.replace(b"17", b'"1\\'), b"a" * 999])
def test_malformed_request_is_a_400_and_closes(noise: bytes) -> None:
    client = Client()
    [(status, headers, body)] = client.send(noise)
    assert (status, headers["connection"], client.wire.closed) == (400, "close", True)
    assert json.loads(body)["detail"].startswith("not HTTP/1.1: ")
    # And nothing after it is answered
    assert len(client.send(POST)) == 1
    assert client.requests == []


def test_two_content_lengths_are_refused() -> None:
    # Given requests that would smuggle a second request past a proxy
    both = POST.replace(b"Host: h", b"Transfer-Encoding: chunked")
    client = Client()
    assert [status for status, _, _ in client.send(both)] == [400]
    assert client.requests == []


def test_upgrade_is_ignored() -> None:
    # Given the `Upgrade` header that Java's client sends with each request
    offer = POST.replace(
        b"Host: h", b"Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A"
    )
    client = Client()
    # When it and another are sent, then both are answered by HTTP/1.1
    assert [status for status, _, _ in client.send(offer + POST)] == [200, 200]
    assert [body for _, _, _, body in client.requests] == [BODY, BODY]


def test_many_upgrades_in_one_read_are_answered() -> None:
    offer = b"GET /ping HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    client = Client()
    assert len(client.send(offer * 2000)) == 2000
    assert not client.wire.closed


def test_connect_is_refused() -> None:
    client = Client()
    [(status, _, body)] = client.send(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n" + POST)
    assert (status, client.wire.closed, client.requests) == (400, True, [])
    assert b"this is no proxy" in body


def test_expect_100_continue_is_answered() -> None:
    head, _, body = POST.replace(b"Host: h", b"Expect: 100-Continue").partition(b"\r\n\r\n")
    client = Client()
    client.send(head + b"\r\n\r\n")
    assert client.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [status for status, _, _ in client.send(body)] == [100, 200]


def test_100_continue_comes_once_and_after_earlier_replies() -> None:
    # Given a request, followed by one with `Expect: 100-continue` and `Upgrade` headers
    asks = POST.replace(b"Host: h", b"Expect: 100-continue\r\nConnection: Upgrade\r\nUpgrade: h2c")
    client = Client()
    # Then the interim response comes after the first reply, before the second
    assert [status for status, _, _ in client.send(POST + asks)] == [200, 100, 200]


def test_trailer_is_no_header() -> None:
    # Given a body in chunks, with a trailer that names another content type
    client = Client()
    client.send(CHUNKED.replace(b"Host: h", b"Content-Type: text/csv")[:-2] + b"Content-Type: text/html\r\n\r\n")
    assert client.requests == [("POST", "/x", {"content-type": "text/csv"}, b"abcdef")]


@pytest.mark.parametrize(
    "begins",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nX: ",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
        CHUNKED[:-2] + b"X: ",
    ],
)
def test_endless_headers_are_refused_before_they_fill_the_memory(begins: bytes) -> None:
    # Given an address, a header, a chunk extension and a trailer that never end
    client = Client()
    [(status, headers, body)] = client.send(begins, *[b"a" * 1000] * 70)
    # Then the reply says so, and the connection is closed
    assert (status, headers["connection"], client.wire.closed) == (431, "close", True)
    assert json.loads(body)["detail"] == "more than 65,536 bytes that are no body"
    assert client.requests == []


def test_long_body_in_small_chunks_does_not_count_as_overhead() -> None:
    client = Client()
    begins = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    [(status, _, _)] = client.send(begins, *[b"1\r\na\r\n" * 100] * 200, b"0\r\n\r\n")
    assert status == 200


def test_body_in_small_chunks_needs_no_extra_memory() -> None:
    client = Client()
    client.group.most_bytes = 100_000
    client.send(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    tracemalloc.start()
    client.send(*[b"2\r\nab\r\n" * 1000] * 40)
    bytes_in_use, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bytes_in_use < 400_000
    client.send(b"0\r\n\r\n")
    assert client.requests[0][3] == b"ab" * 40_000


def test_body_beyond_the_limit_is_not_stored() -> None:
    client = Client()
    client.send(b"POST /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", *[b"x" * 1000] * 1000)
    [(_, _, _, body)] = client.requests
    assert len(body) == 101


def test_head_has_no_body() -> None:
    client = Client()
    client.send(b"HEAD /ping HTTP/1.1\r\n\r\n")
    assert client.wire.sent.endswith(b"content-length: 1\r\n\r\n")


def test_exception_is_a_500_and_the_next_request_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    def answer(*_: object) -> Reply:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("ours")
        return 200, "application/json", b"{}"

    client = Client(answer)
    assert [status for status, _, _ in client.send(POST, POST)] == [500, 200]
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


def test_reading_pauses_while_the_client_does_not_read() -> None:
    client = Client()
    client.connection.pause_writing()
    assert not client.wire.reading
    client.connection.resume_writing()
    assert client.wire.reading


def test_incomplete_request_is_aborted_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given one connection in the middle of a request, and one between two
    monkeypatch.setattr(serve_http, "REQUEST_SECONDS", 0.0)
    monkeypatch.setattr(serve_http, "CHECK_SECONDS", 0.01)
    slow, idle = Client(), Client()
    slow.group.open.add(idle.connection)
    slow.send(POST[:30])
    idle.send(POST)

    async def watched() -> None:
        watching = asyncio.ensure_future(slow.group.watch())
        while not slow.wire.closed:
            await asyncio.sleep(0.01)
        watching.cancel()

    # When it takes too long
    asyncio.run(asyncio.wait_for(watched(), 30))
    # Then that one is closed, and the other is not
    assert not idle.wire.closed


def test_shutdown_closes_idle_connections_at_once_and_others_after_their_reply() -> None:
    # Given one connection between two requests, and one in the middle of one
    idle, busy = Client(), Client()
    idle.group.open.add(busy.connection)
    busy.connection._group = idle.group
    busy.send(POST[:-1])
    # When the worker ends
    asyncio.run(idle.group.end(0.0))
    assert (idle.wire.closed, busy.wire.closed) == (True, False)
    # Then the request in progress is answered first
    assert busy.send(POST[-1:])[0][1]["connection"] == "close"
    assert busy.wire.closed
    # And a connection that is lost is not waited for
    busy.connection.connection_lost(None)
    assert busy.connection not in idle.group.open


def test_every_status_has_a_status_line() -> None:
    assert serve_http.STATUS_LINES[413] == b"413 " + HTTPStatus(413).phrase.encode()
