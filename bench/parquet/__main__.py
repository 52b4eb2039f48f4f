"""`make bench-parquet`: what checks a Parquet file's claims before Polars reads it: a library, or `penstock.readers`.

For each damaged file of the corpus: is it refused, and how much memory does that take? And what does each add to a
bundle of the group `tables`, of which Lambda takes 250 MB unpacked?
"""

import importlib
import subprocess
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from bench import processes
from bench.peers import environment
from bench.report import ROOT, close, table
from infra.bundling import PLATFORM
from penstock.readers.parquet_footer import read_footer

SUBJECTS = ("polars", "pyarrow", "fastparquet", "penstock")
ADDS = {"pyarrow": ["pyarrow"], "fastparquet": ["fastparquet"]}
PYTHON = "3.13"
TIMEOUT = 600
PAGE, CLAIM = 800_000_000, 140_000_000
LIMIT = 262_144_000
"""Bytes that Lambda takes, unpacked."""


def python_of(subject: str) -> str:
    return str(environment("parquet")) if subject in ADDS else sys.executable


def read(subject: str, path: Path) -> tuple[str, int, float]:
    """Return the outcome of reading a file, the peak in MB, and the processor seconds."""
    command = [python_of(subject), "-m", "bench.parquet.read_file", subject, str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with processes.running(command, cwd=ROOT, **pipes) as process:
        try:
            printed, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return "took too long", 0, TIMEOUT
    lines = printed.strip().splitlines()
    if process.returncode or not lines:
        return f"ended the process ({process.returncode})", 0, 0.0
    outcome, peak, seconds = lines[-1].split("\t")
    return outcome, int(peak), float(seconds)


def unpacked_bytes(packages: list[str]) -> int:
    """Return the bytes that packages and what they need have, installed for Lambda."""
    with tempfile.TemporaryDirectory() as folder:
        where = ["--target", folder, "--python-platform", PLATFORM, "--python-version", PYTHON]
        uv = Path(sys.executable).with_name("uv")
        command: list[str | Path] = [uv, "pip", "install", "--quiet", "--only-binary", ":all:", *where, *packages]
        subprocess.run(command, check=True)
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def corpus() -> Any:
    """Import the damaged files of `tests/corpus`; some package brings a `tests` of its own, which would hide ours."""
    package = types.ModuleType("tests")
    package.__path__ = [str(ROOT / "tests")]
    sys.modules["tests"] = package
    return importlib.import_module("tests.corpus.parquet_files")


def lie(folder: Path, number: Callable[[int], bytes]) -> Path:
    """Write some kilobytes that unpack to a page of 800 MB, of which the footer claims 140 MB.

    Args:
        folder: where.
        number: encodes a number as Thrift's compact protocol does.
    """
    path = folder / "lie"
    pl.DataFrame({"x": ["a" * PAGE]}).write_parquet(path, compression="zstd", statistics=False)
    (chunk,) = read_footer(path).groups[0][1]
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8].replace(number(chunk.unpacked), number(CLAIM))
    path.write_bytes(data[: -8 - length] + footer + data[-8:])
    return path


def main() -> None:
    outcomes: dict[str, Counter[str]] = {subject: Counter() for subject in SUBJECTS}
    peaks: dict[str, tuple[int, str]] = dict.fromkeys(SUBJECTS, (0, ""))
    rows = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        good = folder / "good.parquet"
        pl.DataFrame({f"c{number}": range(1_000_000) for number in range(10)}).write_parquet(good)
        baseline = {subject: read(subject, good) for subject in SUBJECTS}
        files = corpus()
        writers = {kind_name: kind.put for kind_name, kind in sorted(files.KINDS.items())}
        writers["Parquet with a page of 800 MB, 140 MB in the footer"] = lambda at: lie(at, files.number)
        for kind_name, write in writers.items():
            path = write(folder)
            cells = [kind_name]
            for subject in SUBJECTS:
                outcome, peak, _ = read(subject, path)
                outcomes[subject][outcome.split(" ")[0]] += 1
                peaks[subject] = max(peaks[subject], (peak, kind_name))
                cells.append(f"{outcome}, {peak} MB")
            rows.append(cells)
            path.unlink()
    table("Damaged Parquet files", ["File", *SUBJECTS], rows)
    base = unpacked_bytes(["polars", "numpy", "msgspec"])
    sizes = {subject: unpacked_bytes(["polars", "numpy", "msgspec", *ADDS[subject]]) - base for subject in ADDS}
    table(
        "Summary",
        ["Subject", "refused", "raised", "read", "ended", "Highest peak", "A good file", "Adds to the bundle"],
        [
            [
                subject,
                *(str(outcomes[subject][word]) for word in ("refused", "raised", "read", "ended")),
                f"{peaks[subject][0]} MB ({peaks[subject][1]})",
                f"{baseline[subject][2]:.2f} s, {baseline[subject][1]} MB",
                f"{sizes.get(subject, 0) / 1e6:.0f} MB",
            ]
            for subject in SUBJECTS
        ],
    )
    close("parquet", {f"{subject}_peak_mb": peaks[subject][0] for subject in SUBJECTS} | {"limit_mb": LIMIT / 1e6})


if __name__ == "__main__":
    processes.run(main)
