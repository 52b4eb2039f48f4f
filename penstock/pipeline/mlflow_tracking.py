"""Best-effort logging of a run to MLflow.

A server that is down, refuses or is slow never costs the run its ending. The failure is noted in the ledger and in the
log.
"""

import logging
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from penstock.ledger.ledger import Ledger
from penstock.pipeline.mlflow_run import MlflowRun, prefix_tags
from penstock.spec.model import Experiments

if TYPE_CHECKING:
    from penstock.pipeline.mlflow_client import Server

T = TypeVar("T")
SECONDS = 45.0
"""Patience with the server, before registration and again behind it; the step itself has 300."""
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
_NETWORK_ERRORS = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)
logger = logging.getLogger("register.mlflow_tracking")  # below the function's logger, whose handler formats it


class LateError(Exception):
    """The server took too long."""


@dataclass
class Tracking:
    """The tracking of one run; does nothing where the specification names no server."""

    experiments: Experiments | None
    name: str
    """The experiment."""
    ledger: Ledger
    run: str
    at: str
    seconds: float = SECONDS
    mlflow_run: dict[str, str] = field(default_factory=dict)
    """`{"id", "url", "server"}` of MLflow's run, once it is logged."""

    def start(self, convert: Callable[[], MlflowRun]) -> dict[str, str]:
        """Log the run.

        Args:
            convert: gives the run; called only where there is a server.

        Returns:
            The properties that the registry gets of it; none where there is no server or it failed.
        """
        self.mlflow_run = self._try(lambda experiments: _server(experiments, self.name).log(convert())) or {}
        if not self.mlflow_run:
            return {}
        self.ledger.note_step(self.run, "mlflow", self.at, **self.mlflow_run)
        return {"mlflow_run": f"runs:/{self.mlflow_run['id']}", "mlflow": self.mlflow_run["server"]}

    def finish(self, tags: dict[str, str], files: dict[str, str]) -> None:
        """Add the tags and files of the run's ending."""
        if name := self.mlflow_run.get("id"):
            self._try(lambda experiments: _server(experiments, self.name).finish(name, prefix_tags(tags), files))

    def _try(self, work: Callable[[Experiments], T]) -> T | None:
        experiments = self.experiments
        if experiments is None:
            return None
        try:
            return run_within(self.seconds, lambda: work(experiments))
        except Exception as error:  # a server's every way to fail is one to us
            failure = f"{experiments.mlflow}: {describe(error)}"
            logger.warning("not logged to MLflow: %s", failure, extra={"run": self.run})
            self.ledger.note_step(self.run, "mlflow", self.at, **self.mlflow_run, failure=failure)
            return None


def _server(experiments: Experiments, name: str) -> "Server":
    os.environ.update(_ENVIRONMENT)
    from penstock.pipeline.mlflow_client import Server  # noqa: PLC0415 - takes seconds, and few models ask for it

    return Server(experiments, name)


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Run the work in a thread and return its result.

    Raises:
        LateError: it takes longer; the thread is abandoned then, as a slow request cannot be stopped.
    """
    results: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue()

    def worker() -> None:
        try:
            results.put((work(), None))
        except Exception as error:  # raised again by whoever waits
            results.put((None, error))

    threading.Thread(target=worker, daemon=True, name="mlflow").start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise LateError(f"no answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only beside an error, or where the work gives none


def describe(error: Exception) -> str:
    """Describe an error in at most 300 characters; a network error with the system's own message."""
    plain = next((cause for cause in _causes(error) if isinstance(cause, _NETWORK_ERRORS)), error)
    sentence = " ".join(str(plain).split()) or type(plain).__name__
    return sentence if len(sentence) <= 300 else f"{sentence[:299]}…"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
