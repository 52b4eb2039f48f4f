"""What benches print: a table for people, one JSON line for records."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    output = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        output.add_row(*row)
    Console(highlight=False).print(output)


def close(name: str, figures: Mapping[str, float]) -> None:
    print(json.dumps({"bench": name} | {key: round(value, 3) for key, value in figures.items()}))


def seconds(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def interleaved(rounds: int, **subjects: Callable[[], object]) -> dict[str, float]:
    """Return each subject's median seconds, measured in turns, so that a drift of the machine affects all alike."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            times[name].append(seconds(subject))
    return {name: statistics.median(values) for name, values in times.items()}


def python(*arguments: str, **environment: str) -> None:
    """Run a Python process of this environment in the project's folder; print its output only if it fails."""
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed:\n{process.stdout[-2000:]}\n{process.stderr[-2000:]}")
