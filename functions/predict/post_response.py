"""Work that nobody waits for: done when the answer is out, and before Lambda freezes the environment.

A thread that is registered as an internal extension hears of each invocation, and asks for the next one only when it is
done with this one; until then the environment stays awake, and Lambda starts no other invocation in it. The answer is
on its way meanwhile: Lambda sends it when the runtime posts it.

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
"""For the runtime to post the answer: both threads share one interpreter."""
PAUSE_SECONDS = 0.1
Work = Callable[[], object]


class Afterwards:
    """What a handler leaves behind. It calls `release` once at the end of each invocation, whatever that came to."""

    def __init__(self, await_invocation: Callable[[], None]) -> None:
        """Nothing is under way.

        Args:
            await_invocation: says that the last invocation is done with, and returns when there is another.
        """
        self._await = await_invocation
        self._left: list[Work] = []
        self._ended = Semaphore(0)
        self._stopped = False

    @classmethod
    def registered(cls, environ: Mapping[str, str] = os.environ) -> Self | None:
        """An extension of this environment; None where there is no Extensions API, or it refuses."""
        address = environ.get("AWS_LAMBDA_RUNTIME_API")
        extension = _Extension.registered(address) if address else None
        if extension is None:
            return None
        made = cls(extension.next)
        made.start()
        return made

    def start(self) -> None:
        """Begin to ask for invocations."""
        Thread(target=self._work, name=NAME, daemon=True).start()

    def add(self, work: Work) -> None:
        """Leave something to be done after the answer."""
        self._left.append(work)

    def release(self) -> None:
        """The handler is done."""
        self._ended.release()

    def stop(self) -> None:
        """Ask for no further invocation."""
        self._stopped = True

    def _work(self) -> None:
        while not self._stopped:
            try:
                self._await()
            except (OSError, HttpError) as error:
                # Unless it asks, no invocation of this environment ever ends; the next attempt may fare better.
                print(f"the Extensions API does not answer: {error!r}", file=sys.stderr)  # noqa: T201
                while self._ended.acquire(timeout=PAUSE_SECONDS):
                    self._do()
                continue
            self._ended.acquire()
            time.sleep(HEAD_START_SECONDS)
            self._do()

    def _do(self) -> None:
        while self._left:
            try:
                self._left.pop(0)()
            except Exception as error:  # whatever it is, the environment has to be given back
                print(f"work after the answer failed: {error!r}", file=sys.stderr)  # noqa: T201


class _Extension:
    """The Extensions API, for one thread at a time."""

    def __init__(self, address: str, identifier: str) -> None:
        self._connection, self._identifier = Connection(address, seconds=None), identifier
        self._told = False
        """Whether there is a reply whose rest is unread."""

    @classmethod
    def registered(cls, address: str) -> Self | None:
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
        print(f"no extension, captures go before the answer: {why}", file=sys.stderr)  # noqa: T201
        return None

    def next(self) -> None:
        """Wait for an invocation, for as long as the environment is frozen.

        Raises:
            OSError, HttpError: no answer, or a refusal.
        """
        if self._told:
            self._told = False
            self._connection.receive()
        headers = {"lambda-extension-identifier": self._identifier}
        waiting = self._connection.send("GET", f"{VERSION}/event/next", headers)
        # The handler runs from here on: what the reply says besides is read when that is done.
        self._told = waiting.recv(len(OK), MSG_PEEK | MSG_WAITALL) == OK
        if not self._told:
            reply = self._connection.receive()
            raise HttpError(f"{reply.status} {reply.body[:300]!r}")
