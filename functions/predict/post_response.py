"""Work after the response: done when the response is sent, and before Lambda freezes the environment.

A thread registered as an internal extension receives each invocation, and requests the next one only when its work is
done; until then the environment stays awake, and Lambda starts no other invocation in it. The response is not delayed:
Lambda sends it when the runtime posts it.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from socket import MSG_PEEK, MSG_WAITALL
from threading import Semaphore, Thread
from typing import Self

from penstock.aws.http import Connection, HttpError

NAME = "penstock-capture"
VERSION = "/2020-01-01/extension"
OK = b"HTTP/1.1 200"
HEAD_START_SECONDS = 0.001
"""Time for the runtime to post the response first: both threads share one interpreter."""
PAUSE_SECONDS = 0.1
Work = Callable[[], object]


class PostResponse:
    """A queue of work; the handler calls `release` once at the end of each invocation, also after an error."""

    def __init__(self, await_invocation: Callable[[], None]) -> None:
        """Prepare an empty queue.

        Args:
            await_invocation: reports that the last invocation is completed, and returns when there is another.
        """
        self._await = await_invocation
        self._queue: list[Work] = []
        self._ended = Semaphore(0)
        self._stopped = False

    @classmethod
    def register(cls, environ: Mapping[str, str] = os.environ) -> Self | None:
        """Register an extension of this environment; None where there is no Extensions API, or it refuses."""
        address = environ.get("AWS_LAMBDA_RUNTIME_API")
        extension = _Extension.register(address) if address else None
        if extension is None:
            return None
        queue = cls(extension.next)
        queue.start()
        return queue

    def start(self) -> None:
        """Start the thread that waits for invocations."""
        Thread(target=self._work, name=NAME, daemon=True).start()

    def add(self, work: Work) -> None:
        """Add work to be done after the response."""
        self._queue.append(work)

    def release(self) -> None:
        """Signal that the handler has returned."""
        self._ended.release()

    def stop(self) -> None:
        """Request no further invocation."""
        self._stopped = True

    def _work(self) -> None:
        while not self._stopped:
            try:
                self._await()
            except (OSError, HttpError) as error:
                # Without a request for the next one, no invocation of this environment ever ends: try again.
                print(f"the Extensions API does not answer: {error!r}", file=sys.stderr)  # noqa: T201
                while self._ended.acquire(timeout=PAUSE_SECONDS):
                    self._run_queue()
                continue
            self._ended.acquire()
            time.sleep(HEAD_START_SECONDS)
            self._run_queue()

    def _run_queue(self) -> None:
        while self._queue:
            try:
                self._queue.pop(0)()
            except Exception as error:  # any fault: the environment must be released
                print(f"work after the answer failed: {error!r}", file=sys.stderr)  # noqa: T201


class _Extension:
    """The Extensions API, for one thread at a time."""

    def __init__(self, address: str, identifier: str) -> None:
        self._connection, self._identifier = Connection(address, seconds=None), identifier
        self._has_unread_reply = False

    @classmethod
    def register(cls, address: str) -> Self | None:
        connection = Connection(address, seconds=1.0)
        try:
            headers = {"lambda-extension-name": NAME, "content-type": "application/json"}
            reply = connection.request("POST", f"{VERSION}/register", headers, b'{"events":["INVOKE"]}')
            identifier = reply.headers.get("lambda-extension-identifier")
            if reply.status == 200 and identifier:
                return cls(address, identifier)
            why = f"{reply.status} {reply.body[:300]!r}"
        except (OSError, HttpError) as error:
            why = repr(error)
        finally:
            connection.close()
        print(f"no extension, captures are sent before the response: {why}", file=sys.stderr)  # noqa: T201
        return None

    def next(self) -> None:
        """Wait for an invocation, for as long as the environment is frozen.

        Raises:
            OSError, HttpError: no reply, or a refusal.
        """
        if self._has_unread_reply:
            self._has_unread_reply = False
            self._connection.receive()
        headers = {"lambda-extension-identifier": self._identifier}
        waiting = self._connection.send("GET", f"{VERSION}/event/next", headers)
        # The handler runs from here on: the rest of the reply is read when it has returned.
        self._has_unread_reply = waiting.recv(len(OK), MSG_PEEK | MSG_WAITALL) == OK
        if not self._has_unread_reply:
            reply = self._connection.receive()
            raise HttpError(f"{reply.status} {reply.body[:300]!r}")
