"""Runs `penstock` commands in forks of one process that has imported it.

The start of Python and its imports take more processor time than most commands, and a stage's tests run hundreds. What
a command does is the same: its arguments, environment, folder, output and exit code.
"""

import atexit
import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_SECONDS, COMMAND_SECONDS = 120, 1200
Completed = subprocess.CompletedProcess[str]


class _Handler(socketserver.StreamRequestHandler):
    """Runs one command in its own process, which the server forks for it."""

    def handle(self) -> None:
        command = json.loads(self.rfile.readline())
        with _output_to_files() as files:
            code = _run(command)
            texts = [file.read_text(encoding="utf-8") for file in files]
        self.wfile.write(json.dumps([code, *texts]).encode())


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks a process for each command."""

    request_queue_size = 32


@contextlib.contextmanager
def _output_to_files() -> Iterator[list[Path]]:
    """Send the process's output to two files, and give it no input."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "stdout", Path(folder) / "stderr"]
        for number, file in enumerate(files, 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        yield files


def _run(command: list[str]) -> int:
    from penstock.cli.app import main

    sys.argv = command
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def _serve(path: str) -> None:
    """Serve until the tests' process has ended, which holds the other end of this process's input."""
    import penstock.cli.app  # noqa: F401 - so that each fork has it

    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    with _Server(path, _Handler) as server:
        server.serve_forever()


class CommandServer:
    """A server for one folder and environment, started by its first command."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        # A socket's path is short, and a test's folder may be long.
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self._path = str(Path(self._folder.name) / "socket")
        with (root / "commands.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__, self._path],
                cwd=root,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        atexit.register(self.stop)

    def run(self, command: list[str]) -> Completed:
        """Run a command as `subprocess.run` does."""
        with self._connect() as connection:
            connection.settimeout(COMMAND_SECONDS)
            connection.sendall(json.dumps(command).encode() + b"\n")
            reply = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        if not reply:
            raise AssertionError(f"{' '.join(command)}: ended without a reply")
        code, out, err = json.loads(reply)
        return Completed(command, code, out, err)

    def stop(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self._path)
            except OSError:
                connection.close()
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return connection


_SERVERS: dict[tuple[Path, tuple[tuple[str, str], ...]], CommandServer] = {}
_LOCK = threading.Lock()


def run_command(root: Path, environment: dict[str, str], command: list[str]) -> Completed:
    """Run a `penstock` command in a folder with an environment."""
    # pytest names the present test in its environment, which no command reads.
    plain = {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"}
    with _LOCK:
        key = (root, tuple(sorted(plain.items())))
        if key not in _SERVERS:
            _SERVERS[key] = CommandServer(root, plain)
    return _SERVERS[key].run(command)


if __name__ == "__main__":
    _serve(sys.argv[1])
