"""The minimal HTTP client: responses in every framing, and an error that describes anything else."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from penstock.aws.client import encode
from penstock.aws.http import Connection, HttpError

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 3\r\nX-Name:  a value \r\n\r\nabc"


class Server:
    """Gives these answers, one for each request, on as many connections as are opened; then closes."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections, self.requests = 0, list[bytes]()
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._answers:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection:
                while self._answers and (request := connection.recv(65_536)):
                    self.requests.append(request)
                    answer = self._answers.pop(0)
                    connection.sendall(answer)
                    if b"keep" not in answer and b"chunked" not in answer and answer != WHOLE:
                        break

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    opened: list[Server] = []
    yield opened
    for server in opened:
        server.close()


def connect(servers: list[Server], *answers: bytes) -> Connection:
    servers.append(Server(*answers))
    return Connection(servers[-1].address, seconds=10)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (WHOLE, b"abc"),
        (OK + b"transfer-encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: t\r\n\r\n", b"abc"),
        (OK + b"Content-Length: 0\r\nX: keep\r\n\r\n", b""),
        (OK + b"\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 503\r\ncontent-length: 2\r\nConnection: Close\r\n\r\nno", b"no"),
    ],
)
def test_a_response_in_every_framing(servers: list[Server], answer: bytes, body: bytes) -> None:
    # Given a server that answers twice, on one connection or two
    connection = connect(servers, answer, answer)
    # When two requests are sent, then both responses are whole
    responses = [connection.request("GET", "/a?b=c", {"x-one": "1"}, b"{}") for _ in range(2)]
    connection.close()
    assert [item.body for item in responses] == [body] * 2
    assert {item.status for item in responses} == {503 if b"503" in answer else 200}
    reusable = b"until" not in answer and b"Close" not in answer
    assert servers[0].connections == (1 if reusable else 2)
    host = servers[0].address.encode()
    assert servers[0].requests[0] == (
        b"GET /a?b=c HTTP/1.1\r\nhost: " + host + b"\r\ncontent-length: 2\r\nx-one: 1\r\n\r\n{}"
    )


def test_a_response_without_a_body_is_not_waited_for(servers: list[Server]) -> None:
    # Given a response without a length, because it can have no body, on a connection that stays open
    connection = connect(servers, b"HTTP/1.1 204 No Content\r\nX: keep\r\n\r\n", WHOLE)
    # When two requests are sent, then both responses arrive on it
    assert [(item.status, item.body) for item in (connection.request("GET", "/", {}) for _ in range(2))] == [
        (204, b""),
        (200, b"abc"),
    ]
    connection.close()
    assert servers[0].connections == 1


def test_interim_responses_are_skipped(servers: list[Server]) -> None:
    connection = connect(servers, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + WHOLE)
    assert connection.request("GET", "/", {}).body == b"abc"
    assert connection.open
    connection.close()


def test_headers_are_found_by_their_lower_case_name(servers: list[Server]) -> None:
    connection = connect(servers, WHOLE)
    assert connection.request("GET", "/", {}).headers == {"content-length": "3", "x-name": "a value"}
    connection.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "ended without an answer"),
        (b"HTTP/1.1 200", "ended within an answer"),
        (b"SSH-2.0-x\r\n", "no HTTP/1.1: 'SSH-2.0-x'"),
        (b"HTTP/1.1 OK\r\n\r\n", "'OK' is not a number"),
        (OK + b"Content-Length: 9\r\n\r\nabc", "ended after 3 of 9 bytes"),
        (OK + b"Content-Length: x\r\n\r\nabc", "'x' is not a number"),
        (OK + b"X: " + b"a" * 70_000, "ended within an answer"),
    ],
)
def test_a_broken_response_is_an_error_and_the_next_request_reconnects(
    servers: list[Server], answer: bytes, message: str
) -> None:
    connection = connect(servers, answer, WHOLE)
    with pytest.raises(HttpError, match=message):
        connection.request("GET", "/", {})
    assert not connection.open
    assert connection.request("GET", "/", {}).body == b"abc"
    connection.close()


def test_no_response_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(f"127.0.0.1:{silent.getsockname()[1]}", seconds=0.05)
        with pytest.raises(TimeoutError):
            connection.request("GET", "/", {})
        assert not connection.open


def test_receiving_without_a_request_is_an_error() -> None:
    with pytest.raises(HttpError, match="no request was sent"):
        Connection("127.0.0.1:1", seconds=1).receive()


def test_tls_is_verified(servers: list[Server]) -> None:
    # Given a server that speaks no TLS
    servers.append(Server(b"HTTP/1.1 400\r\n\r\n"))
    # When a request is sent over TLS, then there is no response in the clear
    with pytest.raises(OSError, match=r"SSL|EOF|reset"):
        Connection(servers[0].address, seconds=10, tls=True).request("GET", "/", {})


def test_a_plain_address_costs_neither_ssl_nor_the_standard_librarys_client() -> None:
    program = "import sys, penstock.aws.client; print(sorted({'ssl', 'http', 'email', 'urllib'} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["models/m/model.onnx", "a b+c=ü/~x", "%2F?&"])
def test_text_is_encoded_as_the_standard_library_does(text: str) -> None:
    from urllib.parse import quote

    assert encode(text, "/") == quote(text, safe="/-_.~")
    assert encode(text) == quote(text, safe="-_.~")
