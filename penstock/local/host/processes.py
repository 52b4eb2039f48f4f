"""Processes and ports: identify the laptop cloud's own server, so that no other process is ever ended.

A process id alone proves nothing after a crash, since the number may have been reused. The server has a random token on
its command line, and its record in `cloud.json` holds the same token.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

# A new process shows no command line for a moment, while the system loads it.
_ATTEMPTS, _PAUSE = 10, 0.02


def command_line(pid: int) -> str:
    """Return the command line of a process, or an empty string where it cannot be read."""
    proc = Path(f"/proc/{pid}/cmdline")
    try:
        if proc.exists():
            return proc.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        result = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def is_ours(pid: int, token: str) -> bool:
    """Return whether a process is the server that was started with this token."""
    for _ in range(_ATTEMPTS):
        line = command_line(pid)
        if line or not exists(pid):
            return bool(token) and token in line
        time.sleep(_PAUSE)
    return False


def exists(pid: int) -> bool:
    """Return whether there is a process with this id, zombies included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; ignore a process that has already ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_until_gone(pid: int, token: str, seconds: float) -> bool:
    """Wait for the process to end, and return whether it did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reap(pid)
        if not is_ours(pid, token):
            return True
        time.sleep(0.05)
    return False


def reap(pid: int) -> None:
    """Collect the exit status if the process is a child of this one; a zombie would look alive."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def port_is_free(port: int) -> bool:
    """Return whether a server can listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_owner(port: int) -> str:
    """Describe the process that listens on the port ("process 123, python …"); empty if unknown."""
    try:
        result = subprocess.run(
            ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t"],
            capture_output=True, text=True, check=False, timeout=5,
        )  # fmt: skip
        pid = int(result.stdout.split()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        pid = _listener_from_proc(port)
    return f"process {pid}, {command_line(pid)[:80].strip()}" if pid else ""


def _listener_from_proc(port: int) -> int:
    inodes = _listening_inodes(port)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target in inodes:
            return int(descriptor.parts[2])
    return 0


def _listening_inodes(port: int) -> set[str]:
    try:
        rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return set()
    fields = [row.split() for row in rows]
    return {f"socket:[{row[9]}]" for row in fields if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
