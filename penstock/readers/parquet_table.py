"""Parquet: its footer is read here and believed only where it fits the file; then Polars reads row groups one by one.

A few kilobytes can claim 2^31 rows, and a footer with one flipped bit can make Polars panic or ask for all memory; so
what the footer claims is bounded before Polars sees the file. A panic that is left is a damaged file too.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from penstock.readers.parquet_footer import be_sound, read_footer
from penstock.readers.parquet_pages import be_pages
from penstock.readers.table import Table, TableError, be_names, rows_of_a_batch, sliced

DAMAGED = "the Parquet file is damaged: write or upload it again"


class ParquetTable(Table):
    """A Parquet file; its cells keep their types."""

    def __init__(self, path: Path) -> None:
        """Read the footer.

        Raises:
            TableError: it is damaged, or claims what cannot be.
        """
        footer = read_footer(path)
        be_names(footer.names)
        be_sound(footer, path.stat().st_size)
        be_pages(path, footer)
        self._lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        with _read(), _quietly():
            self.names = tuple(self._lazy.collect_schema().names())

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        most = rows_of_a_batch(len(self.names))
        lazy = self._lazy if columns is None else self._lazy.select(columns)
        with _read():
            with _quietly():
                found = iter(lazy.collect_batches(chunk_size=most, maintain_order=True))
            while True:
                with _quietly():
                    frame = next(found, None)
                if frame is None:
                    return
                yield from sliced(frame, most)


@contextmanager
def _read() -> Iterator[None]:
    try:
        yield
    except pl.exceptions.PanicException:
        raise TableError(DAMAGED) from None
    except (pl.exceptions.PolarsError, OSError, NotImplementedError, ValueError) as error:
        known = any(word in str(error).lower() for word in ("not supported", "not implemented", "unsupported"))
        said = "the Parquet file has a column of a type or an encoding that is not supported: write it as plain columns"
        raise TableError(said if known else DAMAGED) from None


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what a panic prints to the standard error stream from whoever runs this."""
    try:
        stream = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        stream = 2
    kept, nowhere = os.dup(stream), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream)
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)
        os.close(nowhere)
