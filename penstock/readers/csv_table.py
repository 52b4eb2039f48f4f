"""CSV, block by block: Polars parses what was seen to be whole rows in UTF-8, and every row has to be complete.

Polars fills a short row up with nulls and takes a lone carriage return for text; so the cells are counted against the
header, and line ends made alike, before a row is believed. Cells stay text: the check gives them types.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from penstock.readers.csv_blocks import BLOCK, Block, FaultError, blocks, plain
from penstock.readers.file_type import BOM, HEAD
from penstock.readers.table import COLUMNS, Table, TableError, be_names, rows_of_a_batch, shortened, sliced
from penstock.readers.text_faults import be_text, located

DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class CsvTable(Table):
    """A CSV file."""

    def __init__(self, path: Path, size: int = BLOCK) -> None:
        """Read the header.

        Args:
            path: a file of UTF-8 text.
            size: bytes of a block.

        Raises:
            TableError: there is no header, or none that can be taken.
        """
        self._path, self._size = path, size
        self.names, self._rows_at = self._header()

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        most = rows_of_a_batch(len(self.names))
        for block in self._blocks(self._rows_at):
            yield from sliced(self._frame(block, columns), most)

    def _blocks(self, start: int) -> Iterator[Block]:
        """From a byte on.

        Raises:
            TableError: for what is wrong in a block, also where it is found by who asked for it.
        """
        with self._path.open("rb") as file:
            file.seek(start)
            try:
                for block in blocks(file, self._size):
                    be_text(block.start, block.data)
                    yield block
            except FaultError as fault:
                raise located(self._path, fault) from None

    def _header(self) -> tuple[tuple[str, ...], int]:
        with self._path.open("rb") as file:
            head = file.read(HEAD)
        if head.removeprefix(BOM).lstrip().startswith((b"{", b"[")):
            raise TableError("the content looks like JSON, not CSV: name a file of JSON Lines .jsonl")
        start = len(BOM) if head.startswith(BOM) else 0
        for block in self._blocks(start):
            first = 0
            for end in (*block.ends(), len(block.data)):
                if block.data[first:end].strip(b"\r\n"):
                    return self._names(Block(block.start + first, block.data[first:end])), block.start + int(end) + 1
                first = int(end) + 1
        raise TableError("the file is empty: there is nothing in it but line ends")

    def _names(self, header: Block) -> tuple[str, ...]:
        if (count := header.delimiters() + 1) > COLUMNS:
            raise TableError(f"the header names {count:,} columns, at most {COLUMNS:,} are taken")
        try:
            text = header.data.strip(b"\r\n").decode()
            names = next(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error:
            raise TableError("the header has a column name that is longer than 100,000 characters") from None
        if len(names) == 1 and not names[0].strip():
            raise TableError("the file has no header: its first line is blank")
        if len(names) == 1 and (found := next((sign for sign in DELIMITERS if sign in names[0]), None)):
            raise TableError(
                f"the header {shortened(names[0])!r} is one column: the file is separated by {DELIMITERS[found]}, "
                "not by commas"
            )
        be_names(names)
        return tuple(names)

    def _frame(self, block: Block, columns: Sequence[str] | None) -> pl.DataFrame:
        width = len(self.names)
        data = plain(block) if b"\r" in block.data or width == 1 else block.data
        frame = self._parsed(data, columns)
        if frame is not None and frame.height * (width - 1) == block.delimiters():
            return frame
        # Empty lines are rows of nulls to Polars; they are no rows.
        frame = self._parsed(plain(block), columns)
        if frame is None or frame.height * (width - 1) != block.delimiters():
            raise located(self._path, _ragged(block, width))
        return frame

    def _parsed(self, data: bytes, columns: Sequence[str] | None) -> pl.DataFrame | None:
        """The rows; None where Polars finds one too long."""
        schema = dict.fromkeys(self.names, pl.String)
        if not data:
            return pl.DataFrame(schema=schema).select(self.names if columns is None else columns)
        try:
            # Polars takes this for a mark and not for text wherever it begins to read.
            data = BOM + data if data.startswith(BOM) else data
            lazy = pl.scan_csv(data, has_header=False, schema=schema, infer_schema=False)
            return (lazy if columns is None else lazy.select(columns)).collect()
        except pl.exceptions.PolarsError:
            return None


def _ragged(block: Block, width: int) -> FaultError:
    """The first row that has more or fewer cells than the header."""
    ends = np.append(block.ends(), len(block.data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    commas = block.outside(block.places(ord(",")))
    cells = commas.searchsorted(ends) - commas.searchsorted(starts) + 1
    for row in np.flatnonzero(cells != width):
        if not block.data[starts[row] : ends[row]].strip(b"\r\n"):
            continue
        few = cells[row] < width
        mend = "a row needs a cell, be it empty, for every column" if few else "put a cell that holds a comma in quotes"
        said = f"{cells[row]:,} cell{'s' if cells[row] > 1 else ''}, the header has {width:,}"
        return FaultError(block.start + int(starts[row]), f"line {{line}} has {said}: {mend}")
    return FaultError(block.start, "the rows from line {line} on cannot be read as CSV")
