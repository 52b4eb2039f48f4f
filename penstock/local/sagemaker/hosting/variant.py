"""The process of a production variant: `serve` of the model's image on a port of 127.0.0.1.

A variant is one process, whatever its number of instances, since several would only share the laptop's cores. A
process that ends is restarted after a pause that doubles each time. One that ends three times before its first answer
to `/ping` fails the endpoint; AWS would try until the start-up time is over.
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

from penstock.local.sagemaker.container import environment as container_environment
from penstock.local.sagemaker.container import images, roles
from penstock.local.sagemaker.container.credential_endpoint import CredentialEndpoint
from penstock.local.sagemaker.container.log_stream import LogStream
from penstock.local.sagemaker.container.ml_layout import FAILURE_LIMIT, Layout
from penstock.local.sagemaker.container.process import Container
from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core.caller import account_scope
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.hosting import model_files
from penstock.local.sagemaker.hosting.variant_plan import VariantPlan

PING_SECONDS = 2.0
"""AWS's time limit for `/ping`."""
_PING_INTERVAL = 0.2
_MAX_EXITS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_SECONDS = 60.0
_CONNECTIONS = 64
_log = logging.getLogger(__name__)


class Variant:
    """A variant's process, and the thread that keeps it running."""

    def __init__(
        self,
        plan: VariantPlan,
        settings: JobSettings,
        credential_endpoint: CredentialEndpoint,
        *,
        starting: bool,
        changed: Callable[[], None],
    ) -> None:
        """Prepare a variant.

        Args:
            plan: the image, model and role.
            settings: the settings of the cloud.
            credential_endpoint: serves the container its credentials.
            starting: whether it must answer in time or fail; one that has answered before is restarted until it does.
            changed: called when it answers for the first time, and when it has failed.
        """
        self.plan, self.settings = plan, settings
        self.failure = ""
        self.ready = threading.Event()
        self.pool: urllib3.HTTPConnectionPool | None = None
        self._credential_endpoint = credential_endpoint
        self._starting, self._changed = starting, changed
        self._stop = threading.Event()
        self._last_lines: list[str] = []
        self._process: Container | None = None
        self._thread = threading.Thread(target=self._run, name=f"endpoint-{plan.endpoint}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the process."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the process has ended."""
        self._thread.join(seconds)

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()

    @property
    def has_answered(self) -> bool:
        """Whether it has ever answered `/ping`."""
        return not self._starting

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                with account_scope():
                    self._fetch_model()
                    self._keep_running()
            except (TransferError, images.UnknownImageError, OSError) as error:
                self._fail(f"{error}")
            except Exception as error:
                _log.exception("The endpoint %s failed in the cloud itself", self.plan.endpoint)
                self._fail(f"InternalServerError: {type(error).__name__}: {error}")
            self._stop.wait(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    def _fetch_model(self) -> None:
        credentials = roles.assume(self.plan.role, "SageMaker")
        try:
            transfer = Transfer(self.settings, credentials)
            model_files.provide(self.plan.source, Layout(self.plan.directory(self.settings)).model, transfer)
        finally:
            roles.end_session(credentials)

    def _keep_running(self) -> None:
        exits, deadline = 0, time.monotonic() + self.plan.startup
        while not self._stop.is_set():
            begin = time.monotonic()
            code = self._run_once(deadline)
            if self._stop.is_set():
                break
            exits = 1 if time.monotonic() - begin > _STEADY_SECONDS else exits + 1
            if self._starting and (exits >= _MAX_EXITS or time.monotonic() > deadline):
                self._fail(self._unhealthy(f", exit code: {code}"))
                break
            self._stop.wait(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (exits - 1)))

    def _run_once(self, deadline: float) -> int:
        """Run the process until it ends, and return its exit code."""
        token, credentials = self._credential_endpoint.register(self.plan.role)
        port, log = _free_port(), self._open_log()
        container = self._process = self._container(port, credentials)
        last_ping = 0.0

        def watch() -> None:
            nonlocal last_ping
            if not self.ready.is_set() and time.monotonic() - last_ping > _PING_INTERVAL:
                if _answers_ping(port):
                    self._set_ready(port)
                elif self._starting and time.monotonic() > deadline:
                    self._last_lines = list(container.last_lines)
                    self._fail(self._unhealthy(""))
                last_ping = time.monotonic()

        try:
            code, _ = container.wait(
                on_lines=log.put, stop=self._stop, seconds=float("inf"), grace=self.settings.hosting_grace, tick=watch
            )
            return code
        finally:
            self.ready.clear()
            self._last_lines = list(container.last_lines)
            self._credential_endpoint.unregister(token)

    def _container(self, port: int, credentials: dict[str, str]) -> Container:
        plan, root = self.plan, self.plan.directory(self.settings)
        image = images.find(plan.image, self.settings.home.images)
        added = {
            **container_environment.access(self.settings, None if plan.isolated else credentials),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "PENSTOCK_HOST": "127.0.0.1",
        }
        environment = container_environment.variables(image, root, plan.environment, added)
        return Container(image.command_line([], ["serve"], root), environment, root)

    def _open_log(self) -> LogStream:
        return LogStream(self.plan.log_group, f"{self.plan.variant}/i-{secrets.token_hex(8)}")

    def _set_ready(self, port: int) -> None:
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=_CONNECTIONS, retries=False)
        first, self._starting = self._starting, False
        self.ready.set()
        if first:
            self._changed()

    def _fail(self, reason: str) -> None:
        """Fail the variant if it has never answered; one that has is restarted again and again."""
        _log.warning("Endpoint %s, variant %s: %s", self.plan.endpoint, self.plan.variant, reason)
        if self._starting and not self._stop.is_set():
            self.failure = reason[:FAILURE_LIMIT]
            self._stop.set()
            self._changed()

    def _unhealthy(self, tail: str) -> str:
        message = Layout(self.plan.directory(self.settings)).message("failure") or "\n".join(self._last_lines)
        reason = (
            f"The primary container for production variant {self.plan.variant} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint. The container said: {message or 'nothing'}"
        )
        return reason[: FAILURE_LIMIT - len(tail)] + tail


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers_ping(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PING_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
