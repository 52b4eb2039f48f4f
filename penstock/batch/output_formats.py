"""The output in the input's format, written part by part: memory holds one part, whatever the file's size.

A score has the digits that the HTTPS answer has, which give the same float64 back. For three or more classes JSON Lines
has `scores` as the answer has it; a table has a column for each class.
"""

import csv
import gzip
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from penstock.scoring.signature import Class

Row = dict[str, Any]
SCORES = "scores"
TYPES: dict[type, pl.DataType] = {bool: pl.Boolean(), int: pl.Int64(), str: pl.String()}


class Output(ABC):
    """A file of scores that is being written."""

    @abstractmethod
    def add(self, rows: Sequence[Row]) -> None:
        """Write the next rows, at least one."""

    @abstractmethod
    def close(self) -> Path:
        """Complete the file and return its path; without rows it may not exist."""

    def release(self) -> None:  # noqa: B027 - where nothing is kept open there is nothing to do
        """Release open files, also where the output was not completed; repeating it changes nothing."""


class JsonLinesOutput(Output):
    """JSON Lines."""

    def __init__(self, path: Path, *, compressed: bool) -> None:
        self._path = path
        self._file: BinaryIO = _open(path, compressed=compressed)

    def add(self, rows: Sequence[Row]) -> None:
        self._file.write("".join(f"{json.dumps(row)}\n" for row in rows).encode())

    def close(self) -> Path:
        self.release()
        return self._path

    def release(self) -> None:
        self._file.close()


class CsvOutput(Output):
    """CSV with a header."""

    def __init__(self, path: Path, *, compressed: bool) -> None:
        self._path, self._has_header = path, False
        self._file = io.TextIOWrapper(_open(path, compressed=compressed), encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def add(self, rows: Sequence[Row]) -> None:
        flat = [flatten(row) for row in rows]
        if not self._has_header:
            self._writer.writerow(flat[0])
            self._has_header = True
        self._writer.writerows([_csv_cell(value) for value in row.values()] for row in flat)

    def close(self) -> Path:
        self.release()
        return self._path

    def release(self) -> None:
        self._file.close()


class ParquetOutput(Output):
    """Parquet, with one or more row groups for each part."""

    def __init__(self, path: Path, classes: Sequence[Class]) -> None:
        self._path, self._parts = path, 0
        self._label = TYPES[type(classes[0])] if classes else None
        self._folder = path.with_suffix(".parts")
        self._folder.mkdir()

    def add(self, rows: Sequence[Row]) -> None:
        frame = pl.DataFrame([flatten(row) for row in rows], infer_schema_length=None)
        if self._label is not None:
            frame = frame.with_columns(pl.col("label").cast(self._label))
        frame.write_parquet(self._folder / f"{self._parts:06}.parquet")
        self._parts += 1

    def close(self) -> Path:
        parts = sorted(self._folder.glob("*.parquet"))
        if parts:
            # A part whose rows all lack the key has no type for it.
            frames = [pl.scan_parquet(part) for part in parts]
            pl.concat(frames, how="vertical_relaxed").sink_parquet(self._path, compression="zstd")
        return self._path


def open_output(name: str, path: Path, classes: Sequence[Class]) -> Output:
    """Open the output of an input.

    Args:
        name: the input's name, whose extension decides the format.
        path: a file that does not exist yet.
        classes: of the target; empty for a regression.
    """
    kind = name.lower()
    compressed = kind.endswith(".gz")
    if kind.endswith(".parquet"):
        return ParquetOutput(path, classes)
    if kind.removesuffix(".gz").endswith(".csv"):
        return CsvOutput(path, compressed=compressed)
    return JsonLinesOutput(path, compressed=compressed)


def flatten(row: Row) -> Row:
    """Return a row with a column for each class's probability: `scores.<class>`."""
    flat = {name: value for name, value in row.items() if name != SCORES}
    return flat | {f"{SCORES}.{name}": value for name, value in row.get(SCORES, {}).items()}


def _csv_cell(value: Any) -> Any:
    """Return a value as CSV has it: a number with all its digits, a boolean as JSON writes it."""
    return json.dumps(value) if isinstance(value, bool | float) else value


def _open(path: Path, *, compressed: bool) -> Any:
    return gzip.GzipFile(path, "wb", mtime=0) if compressed else path.open("wb")


def read_rows(data: bytes) -> Iterable[Row]:
    """Read the lines of a part's scores."""
    return map(json.loads, data.splitlines())
