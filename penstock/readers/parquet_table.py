"""Parquet: the footer and the page headers are checked against the file first; then Polars reads it by row groups.

A file of a few kilobytes can claim 2^31 rows, and a footer with one flipped bit can make Polars panic or allocate all
memory. So these claims are bounded before Polars reads the file. A panic that still occurs means a damaged file too.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from penstock.readers.parquet_footer import check_footer, read_footer
from penstock.readers.parquet_pages import check_pages
from penstock.readers.table import Table, TableError, batch_rows, check_names, split_rows

DAMAGED = "the Parquet file is damaged: write or upload it again"
UNSUPPORTED = "the Parquet file has a column of a type or an encoding that is not supported: write it as plain columns"


class ParquetTable(Table):
    """A Parquet file; its cells keep their types."""

    def __init__(self, path: Path) -> None:
        """Read the footer.

        Raises:
            TableError: it is damaged, or its claims are not plausible.
        """
        footer = read_footer(path)
        check_names(footer.names)
        check_footer(footer, path.stat().st_size)
        check_pages(path, footer)
        self._lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        with _errors_as_sentences(), _silence():
            self.names = tuple(self._lazy.collect_schema().names())

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        most = batch_rows(len(self.names))
        lazy = self._lazy if columns is None else self._lazy.select(columns)
        with _errors_as_sentences():
            with _silence():
                frames = iter(lazy.collect_batches(chunk_size=most, maintain_order=True))
            while True:
                with _silence():
                    frame = next(frames, None)
                if frame is None:
                    return
                yield from split_rows(frame, most)


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """Raise what Polars raises as a refusal."""
    try:
        yield
    except pl.exceptions.PanicException:
        raise TableError(DAMAGED) from None
    except (pl.exceptions.PolarsError, OSError, NotImplementedError, ValueError) as error:
        is_unsupported = any(word in str(error).lower() for word in ("not supported", "not implemented", "unsupported"))
        raise TableError(UNSUPPORTED if is_unsupported else DAMAGED) from None


@contextmanager
def _silence() -> Iterator[None]:
    """Discard what a panic prints to the standard error stream."""
    try:
        stream = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        stream = 2
    original, devnull = os.dup(stream), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, stream)
        yield
    finally:
        os.dup2(original, stream)
        os.close(original)
        os.close(devnull)
