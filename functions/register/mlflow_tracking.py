"""Logging of a run to MLflow, as far as it goes.

A server that is down, refuses or dawdles never costs the run its ending. What went wrong stands in the ledger and in
the log.
"""

import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from aws_lambda_powertools import Logger

from functions.register.mlflow_run import Logged, named
from penstock.ledger.ledger import Ledger
from penstock.spec.model import Experiments

if TYPE_CHECKING:
    from functions.register.mlflow_client import Server

Found = TypeVar("Found")
SECONDS = 45.0
"""How long the server is waited for, before registration and again behind it; the step itself has 300."""
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The file store still works, and is what needs neither a server nor a database: the laptop's.
    "MLFLOW_ALLOW_FILE_STORE": "true",
    # SageMaker's server signs the addresses of uploads, so that its bucket need not be open to this role.
    "SAGEMAKER_PRESIGNED_URL_UPLOAD_ENABLED": "true",
}
_OF_THE_NETWORK = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)
logger = Logger(service="register", child=True)


class LateError(Exception):
    """The server took too long."""


@dataclass
class Tracking:
    """Of one run; does nothing where the specification names no server."""

    given: Experiments | None
    name: str
    """The experiment."""
    ledger: Ledger
    run: str
    at: str
    seconds: float = SECONDS
    found: dict[str, str] = field(default_factory=dict)
    """`{"id", "url", "server"}` of MLflow's run, once it is logged."""

    def start(self, logged: Callable[[], Logged]) -> dict[str, str]:
        """Log the run; what the registry is told of it, which is nothing where that failed."""
        if self.given is None:
            return {}
        self.found = self._tried(lambda given: _server(given, self.name).log(logged())) or {}
        if not self.found:
            return {}
        self.ledger.note_step(self.run, "mlflow", self.at, **self.found)
        return {"mlflow_run": f"runs:/{self.found['id']}", "mlflow": self.found["server"]}

    def finish(self, tags: dict[str, str], files: dict[str, str]) -> None:
        """Add what is known only at the end."""
        if self.found:
            self._tried(lambda given: _server(given, self.name).finish(self.found["id"], named(tags), files))

    def _tried(self, work: Callable[[Experiments], Found]) -> Found | None:
        given = self.given
        if given is None:
            return None
        try:
            return within(self.seconds, lambda: work(given))
        except Exception as error:  # a server's every way to fail is one to us
            failure = f"{given.mlflow}: {words(error)}"
            logger.warning("not logged to MLflow: %s", failure, extra={"run": self.run})
            self.ledger.note_step(self.run, "mlflow", self.at, **self.found, failure=failure)
            return None


def _server(given: Experiments, name: str) -> "Server":
    os.environ.update(_ENVIRONMENT)
    from functions.register.mlflow_client import Server  # noqa: PLC0415 - takes seconds, and few models ask for it

    return Server(given, name)


def within(seconds: float, work: Callable[[], Found]) -> Found:
    """What the work gives.

    Raises:
        LateError: it takes longer; it is left to itself then, for a request that dawdles cannot be stopped.
    """
    answers: queue.Queue[tuple[Found | None, Exception | None]] = queue.Queue()

    def worker() -> None:
        try:
            answers.put((work(), None))
        except Exception as error:  # raised again by whoever waits
            answers.put((None, error))

    threading.Thread(target=worker, daemon=True, name="mlflow").start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise LateError(f"no answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # None only beside an error, or where the work gives none


def words(error: Exception) -> str:
    """An error as a sentence of at most 300 characters; of one of the network what the system says of it."""
    plain = next((cause for cause in _causes(error) if isinstance(cause, _OF_THE_NETWORK)), error)
    said = " ".join(str(plain).split()) or type(plain).__name__
    return said if len(said) <= 300 else f"{said[:299]}…"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
