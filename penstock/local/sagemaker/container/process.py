"""The process that stands in for a container: start it, read its output, stop it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")
_POLL = 0.05


class Ending(Enum):
    """How a process ended."""

    BY_ITSELF = "by itself"
    STOPPED = "stopped"
    OUT_OF_TIME = "out of time"


class Container:
    """A process in place of a container."""

    def __init__(self, command: list[str], environment: dict[str, str], directory: Path) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**inherited, **environment},
            cwd=directory,
            start_new_session=True,
        )
        self.last_lines: deque[str] = deque(maxlen=10)

    def wait(
        self,
        *,
        on_lines: Callable[[list[str]], None],
        stop: threading.Event,
        seconds: float,
        grace: float,
        tick: Callable[[], None],
    ) -> tuple[int, Ending]:
        """Wait until the process ends; return its exit code, and how it ended.

        Args:
            on_lines: called with new lines of the output.
            stop: set by the caller to stop the process.
            seconds: the longest time that the process may run.
            grace: seconds between SIGTERM and SIGKILL.
            tick: called at short intervals while the process runs.
        """
        reader = threading.Thread(target=self._read, args=(on_lines,), daemon=True)
        reader.start()
        deadline = time.monotonic() + seconds
        ending = Ending.BY_ITSELF
        while self._process.poll() is None and ending is Ending.BY_ITSELF:
            if stop.wait(_POLL):
                ending = Ending.STOPPED
            elif time.monotonic() > deadline:
                ending = Ending.OUT_OF_TIME
            tick()
        if ending is not Ending.BY_ITSELF:
            self.end(grace)
        self.kill()  # its remaining children would keep the output open
        reader.join(timeout=10)
        return self._process.wait(), ending

    def end(self, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after the grace period."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace)
        self.kill()
        self._process.wait()

    def kill(self) -> None:
        """Kill the process and all that it started."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, on_lines: Callable[[list[str]], None]) -> None:
        """Read the output in chunks, and pass it on in lines."""
        if self._process.stdout is None:
            return
        rest = b""
        while chunk := os.read(self._process.stdout.fileno(), 65_536):
            *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
            self._pass_on(lines, on_lines)
        self._pass_on([rest] if rest else [], on_lines)

    def _pass_on(self, lines: list[bytes], on_lines: Callable[[list[str]], None]) -> None:
        texts = [line.decode("utf-8", "replace") for line in lines]
        self.last_lines.extend(text for text in texts if text.strip())
        if texts:
            on_lines(texts)
