"""Processes that a bench starts: each ends with the bench, also on an exception, Ctrl-C or SIGTERM.

A server left on its port would be measured by the next run in place of its own, so a port in use is refused.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock.local.host.processes import port_is_free, port_owner

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Callable[[], int | None]) -> None:
    """Run a bench and exit with its code; a signal raises SystemExit, so that every `with` ends its process."""
    for number in ENDING_SIGNALS:
        signal.signal(number, _exit)
    sys.exit(main())


def require_command(name: str, package: str) -> None:
    """Exit where a command is missing, naming the Debian package that has it."""
    if shutil.which(name) is None:
        sys.exit(f"{name} is missing, and this bench needs it: apt-get install {package} (on Debian and Ubuntu)")


def require_free_port(port: int) -> None:
    """Exit where a port of 127.0.0.1 is in use, naming the process that listens."""
    if not port_is_free(port):
        owner = port_owner(port)
        sys.exit(
            f"port {port} of 127.0.0.1 is in use{f' by {owner}' if owner else ''}: a bench measures only servers "
            "that it started itself; end that process and run the bench again"
        )


@contextlib.contextmanager
def running(command: Sequence[object], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a session of its own; end it and all that it started when the block ends."""
    process = subprocess.Popen([*map(str, command)], text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        end(process)


def output(command: Sequence[object], **options: Any) -> str:
    """Run a process to its end and return what it printed.

    Raises:
        SystemExit: it failed; the message has the end of its output.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(command, **pipes, **options) as process:
        printed, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{printed[-2000:]}\n{errors[-3000:]}")
    return printed


def wait_for_port(port: int, process: subprocess.Popen[str], seconds: float = 30.0) -> None:
    """Wait until a process listens on a port of 127.0.0.1.

    Raises:
        SystemExit: it ended, or the time is over.
    """
    deadline, name = time.monotonic() + seconds, f"process {process.pid}"
    while port_is_free(port):
        if process.poll() is not None:
            sys.exit(f"{name} ended with exit code {process.returncode} before it listened on port {port}")
        if time.monotonic() > deadline:
            sys.exit(f"{name} did not listen on port {port} within {seconds:g} s")
        time.sleep(0.05)


def family(pid: int) -> list[int]:
    """Return a process, its descendants and the members of its session, without zombies."""
    table = {
        int(stat.parent.name): fields for stat in Path("/proc").glob("[0-9]*/stat") if (fields := stat_fields(stat))
    }
    members = [pid, *(other for other, fields in table.items() if int(fields[3]) == pid and other != pid)]
    for member in members:
        members += [child for child, fields in table.items() if int(fields[1]) == member and child not in members]
    return [member for member in members if member in table and table[member][0] != "Z"]


def stat_fields(stat: Path) -> list[str]:
    """Read the fields after the command's name: state, parent, group, session, …; empty where the process has ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def send(number: signal.Signals, pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it started, stopped ones (SIGSTOP) too."""
    while members := family(process.pid):
        if process.returncode is not None and process.pid in members:
            break  # the number belongs to another process by now, so none of the session is left
        send(signal.SIGKILL, members)
        process.poll()
        time.sleep(0.01)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _exit(number: int, _frame: object) -> None:
    for other in ENDING_SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # a second signal must not interrupt the ending of the processes
    sys.exit(128 + number)
