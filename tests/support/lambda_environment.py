"""A fake of the Lambda Extensions API: its HTTP server and the order of an invocation.

As documented at https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html: an extension registers while
the function starts, and requests the next event; an invocation ends when the runtime and every extension have requested
the next event, and no invocation begins before that.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

SECONDS = 30.0


class Environment:
    """One execution environment with at most one extension, and the order of its events."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.address = ""
        self.refuses, self.breaks = False, 0
        """Whether registration is refused; number of the next requests that get an error."""
        self.pieces = False
        """Whether a reply is sent in two pieces."""
        self._changed = Condition()
        self._registered: dict[str, Any] = {}
        self._asking = self._closed = False

    def invoke(self, handler: Callable[[], Any]) -> Any:
        """Run one invocation to its end and return its response."""
        self._until(lambda: self._asking)
        with self._changed:
            self._asking = False
            self._changed.notify_all()
        try:
            return handler()
        finally:
            self.note("response")
            self._until(lambda: self._asking)

    def note(self, what: str) -> None:
        with self._changed:
            self.happened.append(what)
            self._changed.notify_all()

    def wait_for_response(self, *, before: str) -> None:
        """Wait until there are more responses than events named `before`."""
        self._until(lambda: self.happened.count("response") > self.happened.count(before))

    def _until(self, true: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: true() or self._closed, SECONDS), self.happened

    def register(self, name: str, request: dict[str, Any]) -> int:
        assert request == {"events": ["INVOKE"]}, "an internal extension gets no other event"
        assert not self.happened, "extensions register while the function starts"
        self.note("registered")
        self._registered[name] = request
        return 403 if self.refuses else 200

    def next(self) -> int:
        """Block until there is an invocation."""
        with self._changed:
            if self.breaks:
                self.breaks -= 1
                self.happened.append("broken")
                return 500
            self.happened.append("next")
            self._asking = True
            self._changed.notify_all()
        self._until(lambda: not self._asking)
        return 200

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    environment: Environment

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.path == "/2020-01-01/extension/register"
        self._reply(self.environment.register(self.headers["Lambda-Extension-Name"], body))

    def do_GET(self) -> None:
        assert self.path == "/2020-01-01/extension/event/next"
        assert self.headers["Lambda-Extension-Identifier"] == "an-identifier"
        self._reply(self.environment.next())

    def _reply(self, status: int) -> None:
        if self.environment._closed:
            self.close_connection = True
            return
        head = f"HTTP/1.1 {status} -\r\nLambda-Extension-Identifier: an-identifier\r\ncontent-length: 2\r\n\r\n"
        if self.environment.pieces:
            self.wfile.write(head[:4].encode())
            time.sleep(0.05)
            head = head[4:]
        self.wfile.write(head.encode() + b"{}")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def running() -> Iterator[Environment]:
    environment = Environment()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (_Api,), {"environment": environment}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    environment.address = f"127.0.0.1:{server.server_port}"
    try:
        yield environment
    finally:
        environment.close()
        server.shutdown()
        server.server_close()
        thread.join()
