"""One server under test, with the processes that it starts, on one core: its load, processor time and memory."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.report import ROOT

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
SCRIPT = Path(__file__).parent / "post.lua"


@dataclass(frozen=True)
class Command:
    """How to start a server: arguments, environment, where it answers, and the form of its payload."""

    arguments: list[str]
    environment: dict[str, str]
    path: str = "/invocations"
    payload: str = "instances"
    other_ports: tuple[int, ...] = ()
    """Further ports that it listens on."""


@dataclass(frozen=True)
class Load:
    """The figures of one run of wrk."""

    per_second: float
    p99_ms: float
    cpu_us: float
    """Processor time of the server for one request; it holds where others use the core too."""


class Server:
    """A server's process and all that it started, stopped (SIGSTOP) while another server is measured."""

    def __init__(self, process: subprocess.Popen[str], url: str, body: Path, log: Path) -> None:
        self.url, self.body = url, body
        self._process, self._log = process, log

    def answer(self) -> str:
        """Return its answer to the row, as soon as it gives one.

        Raises:
            SystemExit: it ended, or gave none in time; the message has the last response and the end of its log.
        """
        deadline, last = time.monotonic() + START_SECONDS, "nothing"
        while time.monotonic() < deadline and self._process.poll() is None:
            request = urllib.request.Request(self.url, self.body.read_bytes(), {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    return str(reply.read().decode())
            except urllib.error.HTTPError as error:
                last = f"{error.code} {error.read()[:300]!r}"
            except OSError as error:
                last = str(error)
            time.sleep(0.5)
        code = self._process.poll()
        state = "does not answer" if code is None else f"ended with exit code {code}"
        sys.exit(f"the server of {self.url} {state} (last: {last}). Its log:\n{self._log.read_text()[-2000:]}")

    def load(self, seconds: int) -> Load:
        """Run wrk from the other core.

        Raises:
            SystemExit: a response that is not 2xx, or none at all.
        """
        self.signal(signal.SIGCONT)
        wrk = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}", "--latency", "-s", SCRIPT, self.url]
        before = self._cpu_seconds()
        printed = processes.output([*wrk, "--", self.body])
        used = self._cpu_seconds() - before
        self.signal(signal.SIGSTOP)
        requests = int(re.findall(r"(\d+) requests in", printed)[0])
        if "Non-2xx" in printed or requests == 0:
            sys.exit(f"{self.url} did not answer every request with 2xx. What wrk printed:\n{printed}")
        [(number, unit)] = re.findall(r"99%\s+([\d.]+)(us|ms|s)", printed)
        return Load(
            float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0]),
            float(number) * UNITS[unit],
            used / requests * 1e6,
        )

    def megabytes(self) -> float:
        """Return the resident memory of all its processes together."""
        texts = [(Path("/proc") / str(pid) / "status").read_text() for pid in self._family()]
        return sum(int(kilobytes) for text in texts for kilobytes in re.findall(r"VmRSS:\s+(\d+)", text)) / 1024

    def signal(self, number: signal.Signals) -> None:
        processes.send(number, self._family())

    def _family(self) -> list[int]:
        return processes.family(self._process.pid)

    def _cpu_seconds(self) -> float:
        stats = [processes.stat_fields(Path("/proc") / str(pid) / "stat") for pid in self._family()]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICKS


@contextlib.contextmanager
def serving(command: Command, port: int, folder: Path) -> Iterator[Server]:
    """Start a server on a free port of 127.0.0.1; end it and all that it started when the block ends."""
    for number in (port, *command.other_ports):
        processes.require_free_port(number)
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), **command.environment}
    log = folder / f"{port}.log"
    with (
        log.open("w") as errors,
        processes.running(
            ["taskset", "-c", "0", *command.arguments],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        yield Server(process, f"http://127.0.0.1:{port}{command.path}", folder / command.payload, log)
