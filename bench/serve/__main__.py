"""`make bench-serve`: requests per second of one model for one row, each server on one core, wrk on the other.

`python -m bench.serve granian FastAPI` measures those whose names have one of the words, and Penstock's.
"""

import math
import re
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import processes
from bench.report import ROOT, close, table
from bench.serve.server import Load, Server, serving
from bench.serve.subjects import OURS, SINK_PORT, SUBJECTS

ROUNDS, SECONDS, WARM_SECONDS = 3, 4, 1


def chosen(words: Iterable[str]) -> list[str]:
    """Return the subjects whose names have one of the words, and ours, which the ratios need; without words, all."""
    words = list(words)
    if unknown := [word for word in words if not any(word in name for name in SUBJECTS)]:
        sys.exit(f"no subject has {unknown[0]!r} in its name: {', '.join(SUBJECTS)}")
    return [name for name in SUBJECTS if not words or name == OURS or any(word in name for word in words)]


def check_score(name: str, server: Server, expected: float) -> None:
    answer = server.answer()
    if not any(math.isclose(float(text), expected, abs_tol=1e-5) for text in re.findall(r"\d\.\d+", answer)):
        sys.exit(f"{name} answers {answer[:300]}, the row's probability is {expected}")


def start_sink(stack: ExitStack) -> None:
    """Start the stand-in for Firehose on wrk's core."""
    processes.require_free_port(SINK_PORT)
    command = ["taskset", "-c", "1", sys.executable, "-m", "bench.serve.sink", str(SINK_PORT)]
    sink = stack.enter_context(processes.running(command, cwd=ROOT))
    processes.wait_for_port(SINK_PORT, sink)


def start_servers(stack: ExitStack, folder: Path, names: list[str]) -> dict[str, Server]:
    """Start each server, check its score, and warm it up."""
    from bench.serve import model  # noqa: PLC0415 - heavy, and not needed where wrk is missing

    row, expected = model.write(folder)
    for form, body in model.payloads(row).items():
        (folder / form).write_bytes(body)
    servers: dict[str, Server] = {}
    for index, name in enumerate(names):
        port = SINK_PORT + 1 + index
        servers[name] = stack.enter_context(serving(SUBJECTS[name](folder, port), port, folder))
        check_score(name, servers[name], expected)
        servers[name].load(WARM_SECONDS)
    return servers


def main() -> None:
    processes.require_command("wrk", "wrk")
    processes.require_command("taskset", "util-linux")
    names = chosen(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, ExitStack() as stack:
        start_sink(stack)
        servers = start_servers(stack, Path(folder), names)
        loads: dict[str, list[Load]] = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name in names:
                loads[name].append(servers[name].load(SECONDS))
        print_figures(loads, {name: server.megabytes() for name, server in servers.items()})


def print_figures(loads: Mapping[str, list[Load]], megabytes: Mapping[str, float]) -> None:
    rate = {name: statistics.median(load.per_second for load in runs) for name, runs in loads.items()}
    cpu = {name: statistics.median(load.cpu_us for load in runs) for name, runs in loads.items()}
    p99 = {name: statistics.median(load.p99_ms for load in runs) for name, runs in loads.items()}
    rows = [
        (
            name,
            f"{rate[name]:,.0f}",
            f"{rate[OURS] / rate[name]:.2f}",
            f"{cpu[name]:.1f}",
            f"{cpu[name] / cpu[OURS]:.2f}",
            f"{p99[name]:.2f}",
            f"{megabytes[name]:.0f}",
        )
        for name in loads
    ]
    columns = ["what", "requests/s", "ours ×", "processor µs each", "× ours", "p99 ms", "RSS MB"]
    table(f"one row a request, 32 connections, one core, median of {ROUNDS} in turns", columns, rows)
    ratios = {f"over {name}": rate[OURS] / rate[name] for name in loads if name != OURS}
    work = {f"cpu of {name}": cpu[name] / cpu[OURS] for name in loads if name != OURS}
    close("serve", {"per_second": rate[OURS], "p99_ms": p99[OURS], "rss_mb": megabytes[OURS]} | ratios | work)


if __name__ == "__main__":
    processes.run(main)
