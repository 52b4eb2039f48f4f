"""CSV, block by block: Polars parses blocks that are known to be whole rows of UTF-8, and every row must be complete.

Polars fills a short row with nulls and takes a lone carriage return for text. So cells are counted against the header
and line ends are normalized before a row is accepted. Cells stay text: the row check gives them types.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from penstock.readers.csv_blocks import BLOCK, Block, FaultError, normalize_lines, read_blocks
from penstock.readers.file_type import BOM, HEAD
from penstock.readers.table import COLUMNS, Table, TableError, batch_rows, check_names, shorten, split_rows
from penstock.readers.text_faults import check_text, table_error

DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class CsvTable(Table):
    """A CSV file."""

    def __init__(self, path: Path, size: int = BLOCK) -> None:
        """Read the header.

        Args:
            path: a file of UTF-8 text.
            size: bytes of a block.

        Raises:
            TableError: the header is missing or cannot be used.
        """
        self._path, self._size = path, size
        self.names, self._first_row = self._read_header()

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        most = batch_rows(len(self.names))
        for block in self._blocks(self._first_row):
            yield from split_rows(self._frame(block, columns), most)

    def _blocks(self, start: int) -> Iterator[Block]:
        """Read the blocks from a byte on.

        Raises:
            TableError: for a fault in a block, also one that the caller found while it used the block.
        """
        with self._path.open("rb") as file:
            file.seek(start)
            try:
                for block in read_blocks(file, self._size):
                    check_text(block.start, block.data)
                    yield block
            except FaultError as fault:
                raise table_error(self._path, fault) from None

    def _read_header(self) -> tuple[tuple[str, ...], int]:
        """Return the columns' names and the position of the first row."""
        with self._path.open("rb") as file:
            head = file.read(HEAD)
        if head.removeprefix(BOM).lstrip().startswith((b"{", b"[")):
            raise TableError("the content looks like JSON, not CSV: name a file of JSON Lines .jsonl")
        start = len(BOM) if head.startswith(BOM) else 0
        for block in self._blocks(start):
            first = 0
            for end in (*block.row_ends(), len(block.data)):
                if block.data[first:end].strip(b"\r\n"):
                    return self._names(Block(block.start + first, block.data[first:end])), block.start + int(end) + 1
                first = int(end) + 1
        raise TableError("the file is empty: there is nothing in it but line ends")

    def _names(self, header: Block) -> tuple[str, ...]:
        if (count := header.count_delimiters() + 1) > COLUMNS:
            raise TableError(f"the header names {count:,} columns, at most {COLUMNS:,} are taken")
        try:
            text = header.data.strip(b"\r\n").decode()
            names = next(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error:
            raise TableError("the header has a column name that is longer than 100,000 characters") from None
        if len(names) == 1 and not names[0].strip():
            raise TableError("the file has no header: its first line is blank")
        if len(names) == 1 and (delimiter := next((sign for sign in DELIMITERS if sign in names[0]), None)):
            raise TableError(
                f"the header {shorten(names[0])!r} is one column: the file is separated by {DELIMITERS[delimiter]}, "
                "not by commas"
            )
        check_names(names)
        return tuple(names)

    def _frame(self, block: Block, columns: Sequence[str] | None) -> pl.DataFrame:
        width = len(self.names)
        data = normalize_lines(block) if b"\r" in block.data or width == 1 else block.data
        frame = self._parse(data, columns)
        if frame is not None and frame.height * (width - 1) == block.count_delimiters():
            return frame
        # Empty lines are rows of nulls to Polars; here they are no rows.
        frame = self._parse(normalize_lines(block), columns)
        if frame is None or frame.height * (width - 1) != block.count_delimiters():
            raise table_error(self._path, _first_ragged_row(block, width))
        return frame

    def _parse(self, data: bytes, columns: Sequence[str] | None) -> pl.DataFrame | None:
        """Return the rows; None where Polars finds one that is too long."""
        schema = dict.fromkeys(self.names, pl.String)
        if not data:
            return pl.DataFrame(schema=schema).select(self.names if columns is None else columns)
        try:
            # Polars drops a byte order mark wherever it begins to read, although here it is text.
            data = BOM + data if data.startswith(BOM) else data
            lazy = pl.scan_csv(data, has_header=False, schema=schema, infer_schema=False)
            return (lazy if columns is None else lazy.select(columns)).collect()
        except pl.exceptions.PolarsError:
            return None


def _first_ragged_row(block: Block, width: int) -> FaultError:
    """Return the fault of the first row that has more or fewer cells than the header."""
    ends = np.append(block.row_ends(), len(block.data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    commas = block.outside_quotes(block.positions(ord(",")))
    cells = commas.searchsorted(ends) - commas.searchsorted(starts) + 1
    for row in np.flatnonzero(cells != width):
        if not block.data[starts[row] : ends[row]].strip(b"\r\n"):
            continue
        is_short = cells[row] < width
        mend = (
            "a row needs a cell, be it empty, for every column"
            if is_short
            else "put a cell that holds a comma in quotes"
        )
        counts = f"{cells[row]:,} cell{'s' if cells[row] > 1 else ''}, the header has {width:,}"
        return FaultError(block.start + int(starts[row]), f"line {{line}} has {counts}: {mend}")
    return FaultError(block.start, "the rows from line {line} on cannot be read as CSV")
