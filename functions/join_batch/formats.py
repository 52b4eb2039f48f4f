"""The output in the input's format, written part by part: memory holds one part, whatever the file's size.

A score is written with the digits that the HTTPS answer has, which give the same float64 back. Of several classes JSON
Lines has `scores` as the answer has it; a table has a column for each class.
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
        """The file, complete; there may be none where no row came."""

    def release(self) -> None:  # noqa: B027 - where nothing is kept open there is nothing to do
        """Let go of what is open, also where the file was not completed; once more changes nothing."""


class LinesOutput(Output):
    """JSON Lines."""

    def __init__(self, path: Path, *, packed: bool) -> None:
        self._path = path
        self._file: BinaryIO = _opened(path, packed=packed)

    def add(self, rows: Sequence[Row]) -> None:
        self._file.write("".join(f"{json.dumps(row)}\n" for row in rows).encode())

    def close(self) -> Path:
        self.release()
        return self._path

    def release(self) -> None:
        self._file.close()


class CsvOutput(Output):
    """CSV with a header."""

    def __init__(self, path: Path, *, packed: bool) -> None:
        self._path, self._begun = path, False
        self._file = io.TextIOWrapper(_opened(path, packed=packed), encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def add(self, rows: Sequence[Row]) -> None:
        flat = [flattened(row) for row in rows]
        if not self._begun:
            self._writer.writerow(flat[0])
            self._begun = True
        self._writer.writerows([_cell(value) for value in row.values()] for row in flat)

    def close(self) -> Path:
        self.release()
        return self._path

    def release(self) -> None:
        self._file.close()


class ParquetOutput(Output):
    """Parquet, a row group or more for each part."""

    def __init__(self, path: Path, classes: Sequence[Class]) -> None:
        self._path, self._parts = path, 0
        self._label = TYPES[type(classes[0])] if classes else None
        self._folder = path.with_suffix(".parts")
        self._folder.mkdir()

    def add(self, rows: Sequence[Row]) -> None:
        frame = pl.DataFrame([flattened(row) for row in rows], infer_schema_length=None)
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


def output_of(name: str, path: Path, classes: Sequence[Class]) -> Output:
    """Where an input's scores are written.

    Args:
        name: the input's, whose ending says the format.
        path: a file that is not there yet.
        classes: of the target; none for a regression.
    """
    kind = name.lower()
    packed = kind.endswith(".gz")
    if kind.endswith(".parquet"):
        return ParquetOutput(path, classes)
    plain = kind.removesuffix(".gz")
    return CsvOutput(path, packed=packed) if plain.endswith(".csv") else LinesOutput(path, packed=packed)


def flattened(row: Row) -> Row:
    """With a column for each class' probability: `scores.<class>`."""
    flat = {name: value for name, value in row.items() if name != SCORES}
    return flat | {f"{SCORES}.{name}": value for name, value in row.get(SCORES, {}).items()}


def _cell(value: Any) -> Any:
    """As CSV has it: a number with all its digits, a boolean as JSON writes it."""
    return json.dumps(value) if isinstance(value, bool | float) else value


def _opened(path: Path, *, packed: bool) -> Any:
    return gzip.GzipFile(path, "wb", mtime=0) if packed else path.open("wb")


def decoded(data: bytes) -> Iterable[Row]:
    """The lines of a part's scores."""
    return map(json.loads, data.splitlines())
