"""One server, with the processes that it starts, on one core: its load, its processor time, its memory."""

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.report import ROOT

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What one run of wrk found."""

    per_second: float
    p99_ms: float
    cpu_us: float
    """Of the server, for one request: what is left of the figure where others use the core too."""


class Server:
    """A process and what it starts, stopped (SIGSTOP) while another one is measured."""

    def __init__(self, command: list[str], environment: dict[str, str], url: str, body: Path) -> None:
        self.url, self.body = url, body
        self._process = subprocess.Popen(
            ["taskset", "-c", "0", *command],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.DEVNULL,
            stderr=(log := body.with_name(f"{abs(hash(url))}.log").open("w")),
            start_new_session=True,
        )
        log.close()

    def answer(self) -> str:
        """Its answer to the row, once it gives one.

        Raises:
            TimeoutError: it gave none.
        """
        end, said = time.monotonic() + START_SECONDS, "nothing"
        while time.monotonic() < end and self._process.poll() is None:
            request = urllib.request.Request(self.url, self.body.read_bytes(), {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    return str(reply.read().decode())
            except urllib.error.HTTPError as error:
                said = f"{error.code} {error.read()[:300]!r}"
            except OSError as error:
                said = str(error)
            time.sleep(0.5)
        raise TimeoutError(f"{self.url} answers {said}")

    def load(self, seconds: int, script: Path) -> Load:
        """Run wrk from the other core.

        Raises:
            ValueError: an answer that is not 2xx.
        """
        self.signal(signal.SIGCONT)
        wrk = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}", "--latency", "-s", str(script), self.url]
        before = self._cpu_seconds()
        found = subprocess.run([*wrk, "--", str(self.body)], capture_output=True, text=True, check=True).stdout
        used = self._cpu_seconds() - before
        self.signal(signal.SIGSTOP)
        if "Non-2xx" in found:
            raise ValueError(f"{self.url}: {found}")
        [(number, unit)] = re.findall(r"99%\s+([\d.]+)(us|ms|s)", found)
        requests = int(re.findall(r"(\d+) requests in", found)[0])
        return Load(
            float(re.findall(r"Requests/sec:\s+([\d.]+)", found)[0]),
            float(number) * UNITS[unit],
            used / max(requests, 1) * 1e6,
        )

    def megabytes(self) -> float:
        """Resident, all processes together."""
        texts = [(Path("/proc") / pid / "status").read_text() for pid in self._processes()]
        return sum(int(kilobytes) for text in texts for kilobytes in re.findall(r"VmRSS:\s+(\d+)", text)) / 1024

    def signal(self, number: int) -> None:
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def close(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self._process.wait()

    def _processes(self) -> list[str]:
        """The first process and all below it; some servers put their workers into sessions of their own."""
        found = {stat.parent.name: fields for stat in Path("/proc").glob("[0-9]*/stat") if (fields := _fields(stat))}
        group = [str(self._process.pid)]
        for pid in group:
            group += [child for child, fields in found.items() if fields[1] == pid]
        return [pid for pid in group if pid in found and found[pid][0] != "Z"]

    def _cpu_seconds(self) -> float:
        found = [_fields(Path("/proc") / pid / "stat") for pid in self._processes()]
        return sum(int(fields[11]) + int(fields[12]) for fields in found if fields) / TICKS


def _fields(stat: Path) -> list[str]:
    """After the command's name: state, parent, group, session, …; empty where the process is gone."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []
