"""Files as tables (for now)."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

ENDINGS = (".csv", ".jsonl", ".ndjson", ".parquet")


class TableError(Exception):
    """A file that cannot be read as a table, or that lacks a column: refused as a whole, the message says why."""


@dataclass
class Table:
    frame: pl.DataFrame

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.frame.columns)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        yield self.frame


def readable(name: str) -> bool:
    """Whether a file's name says that it is a table that can be read."""
    return name.lower().endswith(ENDINGS)


@contextmanager
def open_table(path: Path, name: str, *, scratch: Path) -> Iterator[Table]:
    yield Table(read_table(path.read_bytes(), name))


def read_table(data: bytes, name: str) -> pl.DataFrame:
    if not data:
        raise TableError("the file is empty")
    kind = name.lower()
    try:
        if kind.endswith(".parquet"):
            return pl.read_parquet(io.BytesIO(data))
        if kind.endswith((".jsonl", ".ndjson")):
            return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        if kind.endswith(".csv"):
            return pl.read_csv(io.BytesIO(data), infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first = str(error).strip().splitlines()
        raise TableError(
            f"the content cannot be read as {name.rpartition('.')[2]}: {first[0] if first else error}"
        ) from None
    raise TableError(f"{name.rpartition('/')[2]!r} is neither .csv, .jsonl nor .parquet")
