"""A bench ends every process that it started, and measures none that it did not start."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import processes
from bench.serve import __main__ as serve
from bench.serve.server import Command, serving
from bench.serve.subjects import FLOOR, OURS, SUBJECTS

ROOT = Path(__file__).parents[3]
FAMILY = """
import subprocess, sys, time
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
same, own = subprocess.Popen(sleeper), subprocess.Popen(sleeper, start_new_session=True)
print(same.pid, own.pid, flush=True)
time.sleep(600)
"""
"""Starts two processes, one of them in a session of its own, as some servers start their workers."""
BENCH = f"""
import subprocess, sys, time
from bench import processes
def main():
    with processes.running([sys.executable, "-c", {FAMILY!r}], stdout=subprocess.PIPE) as process:
        print(process.pid, process.stdout.readline(), flush=True)
        time.sleep(600)
processes.run(main)
"""


def is_running(pid: int) -> bool:
    fields = processes.stat_fields(Path("/proc") / str(pid) / "stat")
    return bool(fields) and fields[0] != "Z"


def read_pids(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_exception_ends_the_process_and_all_that_it_started() -> None:
    # Given a process with two children, when the block that uses it raises
    pids: list[int] = []

    def measure() -> None:
        with processes.running([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as process:
            pids.extend([process.pid, *read_pids(process)])
            assert sorted(processes.family(process.pid)) == sorted(pids)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure()
    # Then none of the three is left
    assert len(pids) == 3
    assert not any(is_running(pid) for pid in pids)


def test_a_stopped_process_is_ended_too() -> None:
    # Given a server that is stopped while another one is measured, when its block ends
    with processes.running([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as process:
        pids = [process.pid, *read_pids(process)]
        processes.send(signal.SIGSTOP, pids)
    # Then it has ended, with its children
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize("number", processes.ENDING_SIGNALS)
def test_a_signal_to_the_bench_ends_its_processes(number: signal.Signals) -> None:
    # Given a bench that runs, when it gets the signal
    bench = subprocess.Popen([sys.executable, "-c", BENCH], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with bench:
        pids = read_pids(bench)
        bench.send_signal(number)
        # Then it exits with the signal's code, and none of its processes is left
        assert bench.wait(30) == 128 + number
    assert len(pids) == 3
    assert not any(is_running(pid) for pid in pids)


def test_a_failing_process_ends_the_bench_with_its_words() -> None:
    # Given a process that fails, when it is run to its end, then its output is in the bench's last words
    with pytest.raises(SystemExit, match=r"failed:\n(.|\n)*the weights do not fit"):
        processes.output([sys.executable, "-c", "import sys; sys.exit('the weights do not fit')"])


def test_a_port_in_use_is_refused_with_its_owner(busy_port: int) -> None:
    # Given a port on which somebody listens, when a bench would use it, then the sentence names who it is
    sentence = rf"port {busy_port} of 127.0.0.1 is in use by process {os.getpid()}.*: a bench measures only servers"
    with pytest.raises(SystemExit, match=sentence):
        processes.require_free_port(busy_port)


def test_no_server_is_started_on_a_port_in_use(busy_port: int, tmp_path: Path) -> None:
    # Given a server whose second port is in use, when it would be started
    marker = tmp_path / "started"
    command = Command([sys.executable, "-c", f"open({str(marker)!r}, 'w')"], {}, other_ports=(busy_port,))
    with pytest.raises(SystemExit, match="is in use"), serving(command, free_port(), tmp_path):
        pass
    # Then it was not
    assert not marker.exists()


def test_waiting_for_a_port_ends_with_its_process() -> None:
    # Given a process that ends without listening, when its port is waited for, then the exit code is named
    with (
        processes.running([sys.executable, "-c", "raise SystemExit(3)"]) as process,
        pytest.raises(SystemExit, match="ended with exit code 3 before it listened"),
    ):
        processes.wait_for_port(free_port(), process)


def test_a_server_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    # Given a server that ends at its start, when its answer is waited for, then its log is in the bench's last words
    (tmp_path / "instances").write_bytes(b"{}")
    command = Command([sys.executable, "-c", "import sys; sys.exit('no module of that name')"], {})
    with (
        serving(command, free_port(), tmp_path) as server,
        pytest.raises(SystemExit, match=r"ended with exit code 1(.|\n)*no module of that name"),
    ):
        server.answer()


def test_serve_says_that_wrk_is_missing_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine without wrk, when the bench of the servers is run
    monkeypatch.setenv("PATH", "/nowhere")
    started: list[object] = []
    monkeypatch.setattr(processes, "running", lambda *arguments, **_: started.append(arguments))
    with pytest.raises(SystemExit, match="wrk is missing, and this bench needs it: apt-get install wrk"):
        serve.main()
    # Then it started no process
    assert not started


def test_serve_measures_ours_with_every_choice() -> None:
    # Given a choice of subjects, when they are looked up, then ours is among them, which the ratios need
    assert serve.chosen(["granian"]) == [OURS, FLOOR]
    assert serve.chosen([]) == list(SUBJECTS)
    with pytest.raises(SystemExit, match="no subject has 'tornado' in its name: penstock serve"):
        serve.chosen(["tornado"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
