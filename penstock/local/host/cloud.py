"""Starts, stops and inspects the laptop cloud, and builds the environment that points AWS tools at it."""

import contextlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from penstock.local.host import processes
from penstock.local.host.home import CloudHome, read_json, write_atomically
from penstock.local.host.tls import certificates, ensure_certificates

ACCOUNT = "000000000000"
REGION = "us-east-1"
HEALTH_PATH = "/_penstock/health"

# Variables of a shell that would lead a tool to a real account in spite of the endpoint.
LEAKING_VARIABLES = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)  # fmt: skip


class CloudError(Exception):
    """An operation of the laptop cloud failed; the message says why, and how to fix it."""


@dataclass(frozen=True)
class CloudStatus:
    """The present state of the laptop cloud.

    `services` maps each service to "available"; `jobs` counts the SageMaker jobs that run or wait. Both are empty when
    the cloud does not run or does not answer.
    """

    running: bool
    url: str
    pid: int | None
    home: Path
    started_at: str | None
    healthy: bool = False
    version: str | None = None
    services: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 0


@dataclass(frozen=True)
class _Record:
    """The content of `cloud.json`."""

    pid: int
    port: int
    token: str
    started_at: str
    version: str


class LaptopCloud:
    """One laptop cloud: a home directory, a port, and at most one server process."""

    def __init__(self, home: Path, port: int = 4566) -> None:
        self.home = Path(home).expanduser().resolve()
        self.port = port
        self._files = CloudHome(self.home)

    @property
    def url(self) -> str:
        """The endpoint. An address rather than a name, so that every SDK uses path-style S3."""
        return f"https://127.0.0.1:{self._port()}"

    def up(self, timeout: float = 60, images: Mapping[str, Path] | None = None) -> CloudStatus:
        """Start the server unless it runs already, and wait until it answers.

        Args:
            timeout: seconds to wait for the first answer.
            images: image name to project root, for the images that SageMaker jobs may name; the Dockerfile is the
                first of `training/Dockerfile` and `Dockerfile` below the root.

        Raises:
            CloudError: the port is taken, the server died, or it did not answer in time.
        """
        if images:
            self._write_images(images)
        record = self._running_server()
        if record is None:
            record = self._start()
        elif record.version != version("ministack"):
            raise CloudError(
                f"The laptop cloud runs with MiniStack {record.version}, installed is {version('ministack')}. "
                "Restart it: penstock down, then penstock up."
            )
        self._wait(record, timeout)
        return self.status()

    def down(self, timeout: float = 30) -> bool:
        """Stop the server, which saves its state; return whether it was running.

        Raises:
            CloudError: the process does not end even when killed.
        """
        record = self._running_server()
        if record is None:
            return False
        processes.send(record.pid, signal.SIGTERM)
        if not processes.wait_until_gone(record.pid, record.token, timeout):
            processes.send(record.pid, signal.SIGKILL)
            if not processes.wait_until_gone(record.pid, record.token, 10):
                raise CloudError(f"The laptop cloud (process {record.pid}) does not end; its log is {self._files.log}.")
        self._files.process.unlink(missing_ok=True)
        return True

    def status(self) -> CloudStatus:
        """Return whether the cloud runs, and its state."""
        record = self._running_server()
        if record is None:
            return CloudStatus(running=False, url=self.url, pid=None, home=self.home, started_at=None)
        health = self._health(record) or {}
        return CloudStatus(
            running=True,
            url=self.url,
            pid=record.pid,
            home=self.home,
            started_at=record.started_at,
            healthy=bool(health),
            version=record.version,
            services=health.get("services", {}),
            jobs=health.get("jobs", 0),
        )

    def environment(self) -> dict[str, str]:
        """Return the environment variables that point every AWS tool at this cloud, as its operator.

        Variables that could lead a tool to a real account are in `LEAKING_VARIABLES`; `command_environment` removes
        them.

        Raises:
            CloudError: the cloud was never up, so there is no operator yet.
        """
        operator = read_json(self._files.operator)
        if operator is None:
            raise CloudError(f"There is no laptop cloud in {self.home} yet. Start it: penstock up.")
        files = certificates(self._files.tls)
        trusted = {name: str(files.bundle) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")}
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": operator["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": operator["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NODE_EXTRA_CA_CERTS": str(files.authority),
            **trusted,
        }

    def command_environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment for a command: `base` (by default this process's own), pointed at this cloud."""
        inherited = dict(os.environ if base is None else base)
        for name in LEAKING_VARIABLES:
            inherited.pop(name, None)
        return {**inherited, **self.environment()}

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        with contextlib.suppress(OSError):
            return "\n".join(self._files.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""

    def _port(self) -> int:
        """Return the port of the running cloud, which may have been started with another one."""
        record = self._record()
        return record.port if record else self.port

    def _record(self) -> _Record | None:
        content = read_json(self._files.process)
        return _Record(**content) if isinstance(content, dict) else None

    def _running_server(self) -> _Record | None:
        """Return the record of the running server; remove the record of one that has ended."""
        record = self._record()
        if record is None:
            return None
        processes.reap(record.pid)
        if processes.is_ours(record.pid, record.token):
            return record
        self._files.process.unlink(missing_ok=True)
        return None

    def _start(self) -> _Record:
        self._check_port()
        try:
            self._files.create()
            ensure_certificates(self._files.tls)
        except OSError as error:
            raise CloudError(f"The laptop cloud cannot keep its files in {self.home}: {error}") from error
        token = f"penstock-{secrets.token_hex(8)}"
        command = [
            sys.executable, "-m", "penstock.local.server.main",
            "--home", str(self.home), "--port", str(self.port), "--token", token,
        ]  # fmt: skip
        with self._files.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.home
            )
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = _Record(process.pid, self.port, token, started_at, version("ministack"))
        write_atomically(self._files.process, json.dumps(record.__dict__))
        process.returncode = 0  # detached on purpose: keeps the interpreter from warning that the child still runs
        return record

    def _check_port(self) -> None:
        if processes.port_is_free(self.port):
            return
        owner = processes.port_owner(self.port)
        by = f" by {owner}" if owner else " by another program"
        raise CloudError(
            f"Port {self.port} is in use{by}. End that program, or choose another port: PENSTOCK_PORT=4567."
        )

    def _wait(self, record: _Record, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._health(record):
                return
            processes.reap(record.pid)
            if not processes.is_ours(record.pid, record.token):
                self._files.process.unlink(missing_ok=True)
                raise CloudError(f"The laptop cloud died while it started. Its log ends:\n{self.log_tail()}")
            time.sleep(0.1)
        raise CloudError(f"The laptop cloud did not answer within {timeout:g} s. Its log ends:\n{self.log_tail()}")

    def _health(self, record: _Record) -> dict[str, Any] | None:
        """Request the server's health; None while it does not answer, or where another program answers on its port."""
        context = ssl.create_default_context(cafile=str(certificates(self._files.tls).authority))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(f"https://127.0.0.1:{record.port}{HEALTH_PATH}", timeout=5) as answer:
                health: dict[str, Any] = json.load(answer)
        except (OSError, ValueError, urllib.error.URLError):
            return None
        return health if health.get("token") == record.token else None

    def _write_images(self, images: Mapping[str, Path]) -> None:
        entries = read_json(self._files.images) or {}
        for name, root in images.items():
            entries[name] = {"dockerfile": str(_dockerfile(name, root)), "context": str(Path(root).resolve())}
        write_atomically(self._files.images, json.dumps(entries, indent=1))


def _dockerfile(name: str, root: Path) -> Path:
    for candidate in (root / "training" / "Dockerfile", root / "Dockerfile"):
        if candidate.is_file():
            return candidate.resolve()
    raise CloudError(f"The image {name} has no Dockerfile: looked for training/Dockerfile and Dockerfile in {root}.")
