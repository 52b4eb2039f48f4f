"""A production variant's process: `serve` of the model's image on a port of 127.0.0.1.

One process stands for the variant however many instances it has; a laptop would only divide its cores among them.
A process that ends is started again, after a pause that doubles. One that ends three times before it first answers
`/ping` will not answer, so the endpoint fails then; AWS would go on until the time for the start is over.
"""

import contextlib
import http.client
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable

import urllib3

from penstock.local.sagemaker.container import environment as surroundings
from penstock.local.sagemaker.container import images, roles
from penstock.local.sagemaker.container.credential_endpoint import CredentialEndpoint
from penstock.local.sagemaker.container.log_stream import LogStream
from penstock.local.sagemaker.container.ml_layout import FAILURE_LIMIT, Layout
from penstock.local.sagemaker.container.process import Container
from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core.caller import account_scope
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.hosting import model_files
from penstock.local.sagemaker.hosting.variant_plan import Plan

PING_SECONDS = 2.0
"""AWS's limit for an answer to `/ping`."""
_BETWEEN_PINGS = 0.2
_MOST_DEATHS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_SECONDS = 60.0
_CONNECTIONS = 64
_log = logging.getLogger(__name__)


class Variant:
    """One variant's process, and the thread that keeps it running."""

    def __init__(
        self,
        plan: Plan,
        settings: JobSettings,
        door: CredentialEndpoint,
        *,
        starting: bool,
        changed: Callable[[], None],
    ) -> None:
        """Prepare a variant.

        Args:
            plan: what to run.
            settings: where the cloud is.
            door: where the container finds its credentials.
            starting: whether it must answer in time or fail; one that answered before is started until it does.
            changed: called when it answers for the first time, and when it has failed.
        """
        self.plan, self.settings = plan, settings
        self.failure = ""
        self.ready = threading.Event()
        self.pool: urllib3.HTTPConnectionPool | None = None
        self._door, self._starting, self._changed = door, starting, changed
        self._stop = threading.Event()
        self._words: list[str] = []
        self._process: Container | None = None
        self._thread = threading.Thread(target=self._run, name=f"endpoint-{plan.endpoint}", daemon=True)

    def start(self) -> None:
        """Begin to run."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the process to end."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the process has ended."""
        self._thread.join(seconds)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    @property
    def answered(self) -> bool:
        """Whether it ever answered `/ping`."""
        return not self._starting

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                with account_scope():
                    self._provide()
                    self._keep_running()
            except (TransferError, images.UnknownImageError, OSError) as error:
                self._fail(f"{error}")
            except Exception as error:
                _log.exception("The endpoint %s failed in the cloud itself", self.plan.endpoint)
                self._fail(f"InternalServerError: {type(error).__name__}: {error}")
            self._stop.wait(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    def _provide(self) -> None:
        credentials = roles.assume(self.plan.role, "SageMaker")
        try:
            transfer = Transfer(self.settings, credentials)
            model_files.provide(self.plan.source, Layout(self.plan.place(self.settings)).model, transfer)
        finally:
            roles.forget(credentials)

    def _keep_running(self) -> None:
        deaths, deadline = 0, time.monotonic() + self.plan.startup
        while not self._stop.is_set():
            begun = time.monotonic()
            code = self._once(deadline)
            if self._stop.is_set():
                break
            deaths = 1 if time.monotonic() - begun > _STEADY_SECONDS else deaths + 1
            if self._starting and (deaths >= _MOST_DEATHS or time.monotonic() > deadline):
                self._fail(self._unhealthy(f", exit code: {code}"))
                break
            self._stop.wait(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (deaths - 1)))

    def _once(self, deadline: float) -> int:
        """Run the process until it ends, and return its exit code."""
        token, credentials = self._door.open(self.plan.role)
        port, log = _free_port(), self._open_log()
        container = self._process = self._container(port, credentials)
        pinged = 0.0

        def watch() -> None:
            nonlocal pinged
            if not self.ready.is_set() and time.monotonic() - pinged > _BETWEEN_PINGS:
                if _answers(port):
                    self._up(port)
                elif self._starting and time.monotonic() > deadline:
                    self._words = list(container.last_lines)
                    self._fail(self._unhealthy(""))
                pinged = time.monotonic()

        try:
            code, _ = container.wait(
                on_lines=log.put, stop=self._stop, seconds=float("inf"), grace=self.settings.hosting_grace, tick=watch
            )
            return code
        finally:
            self.ready.clear()
            self._words = list(container.last_lines)
            self._door.close(token)

    def _container(self, port: int, credentials: dict[str, str]) -> Container:
        plan, root = self.plan, self.plan.place(self.settings)
        image = images.find(plan.image, self.settings.home.images)
        added = {
            **surroundings.access(self.settings, None if plan.isolated else credentials),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "PENSTOCK_HOST": "127.0.0.1",
        }
        environment = surroundings.variables(image, root, plan.environment, added)
        return Container(image.command_line([], ["serve"], root), environment, root)

    def _open_log(self) -> LogStream:
        return LogStream(self.plan.log_group, f"{self.plan.variant}/i-{secrets.token_hex(8)}")

    def _up(self, port: int) -> None:
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=_CONNECTIONS, retries=False)
        first, self._starting = self._starting, False
        self.ready.set()
        if first:
            self._changed()

    def _fail(self, reason: str) -> None:
        """End here if it never answered; one that did is tried again and again."""
        _log.warning("Endpoint %s, variant %s: %s", self.plan.endpoint, self.plan.variant, reason)
        if self._starting and not self._stop.is_set():
            self.failure = reason[:FAILURE_LIMIT]
            self._stop.set()
            self._changed()

    def _unhealthy(self, tail: str) -> str:
        said = Layout(self.plan.place(self.settings)).message("failure") or "\n".join(self._words)
        told = (
            f"The primary container for production variant {self.plan.variant} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint. The container said: {said or 'nothing'}"
        )
        return told[: FAILURE_LIMIT - len(tail)] + tail


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PING_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
