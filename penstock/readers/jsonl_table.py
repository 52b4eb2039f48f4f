"""JSON Lines: each object is decoded once into columns of text, as in a CSV, stored on disk block by block.

A column may first appear on any line, so the names are known only at the end of the file; the blocks are stored so that
they are not decoded again. A number keeps its literal and a column may mix types: each row is checked by itself.
Polars' own reader rewrites numbers and takes the first of two values under one key, so msgspec decodes.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from penstock.readers.csv_blocks import Block, FaultError
from penstock.readers.file_type import BOM
from penstock.readers.jsonl_faults import check_keys, first_fault
from penstock.readers.table import CELLS, Table, TableError, batch_rows, check_names
from penstock.readers.text_faults import check_text, table_error

BLOCK = 8 << 20
"""Maximum bytes of a block, and of a line."""
NESTED = "\x00"
"""Text that stands for an array or object, which is no cell."""
Rows = list[dict[str, Any]]
Names = dict[str, None]
ROWS = msgspec.json.Decoder(dict[str, Any], float_hook=str)


class JsonTable(Table):
    """A file of JSON Lines."""

    def __init__(self, path: Path, folder: Path, size: int = BLOCK) -> None:
        """Read the whole file and store its columns.

        Args:
            path: a file of UTF-8 text.
            folder: where to store the columns; not removed.
            size: bytes of a block.

        Raises:
            TableError: a line is no JSON object, or there is none at all.
        """
        self._path, self._folder = path, folder
        self._parts: list[tuple[int, Names]] = []
        names: Names = {}
        try:
            for block in _read_blocks(path, size):
                for rows, own in _chunks(_decode(block)):
                    names |= own
                    check_names(tuple(names))
                    self._store(rows, own)
        except FaultError as fault:
            raise table_error(path, fault) from None
        if not self._parts:
            raise TableError("the file is empty: there is nothing in it but blanks")
        if not names:
            raise TableError("the objects of the file have no keys")
        self.names = tuple(names)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        selected = self.names if columns is None else tuple(columns)
        most = batch_rows(len(self.names))
        for number, (height, own) in enumerate(self._parts):
            part = pl.read_ipc(self._part(number)) if own else pl.DataFrame()
            for start in range(0, height, most):
                rows = min(most, height - start)
                nulls = pl.repeat(None, rows, dtype=pl.String, eager=True)
                # From a dict, since a list of series would give one without a name a name.
                yield pl.DataFrame({name: part[name].slice(start, rows) if name in own else nulls for name in selected})

    def _store(self, rows: Rows, own: Names) -> None:
        if own:
            columns = {name: _text_column(values) for name, values in _columns(rows, own)}
            pl.DataFrame(columns).write_ipc(self._part(len(self._parts)), compression="lz4")
        self._parts.append((len(rows), own))

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}.arrow"


def _read_blocks(path: Path, size: int) -> Iterator[Block]:
    """Read a file in blocks of whole lines."""
    with path.open("rb") as file:
        start = len(BOM) if file.read(len(BOM)) == BOM else 0
        file.seek(start)
        remainder = b""
        while data := remainder + file.read(size - len(remainder)):
            is_last = len(data) < size
            cut = len(data) if is_last else data.rfind(b"\n") + 1
            if not cut:
                fault = f"line {{line}} is longer than {size >> 20:,} MB, more than a row may have"
                raise FaultError(start, f"{fault}: write each row as one object on a line of its own")
            check_text(start, data[:cut])
            yield Block(start, data[:cut])
            start, remainder = start + cut, data[cut:]
            if is_last:
                return


def _decode(block: Block) -> Rows:
    try:
        rows = ROWS.decode_lines(block.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        raise first_fault(block) from None
    check_keys(block, rows)
    return rows


def _chunks(rows: Rows) -> Iterator[tuple[Rows, Names]]:
    """Split rows into lists of at most `CELLS` cells, when each row has every column of its list."""
    own = dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, rows))))
    if len(rows) < 2 or len(rows) * len(own) <= CELLS:
        yield from [(rows, own)] if rows else []
        return
    half = len(rows) // 2
    yield from _chunks(rows[:half])
    yield from _chunks(rows[half:])


def _columns(rows: Rows, own: Names) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield each column with its values."""
    # Mostly all objects have the same keys in the same order, and then this takes a tenth of the time.
    if all(map(tuple(own).__eq__, map(tuple, rows))):
        yield from zip(own, zip(*map(dict.values, rows), strict=True), strict=True)
        return
    for name in own:
        yield name, [row.get(name) for row in rows]


def _text_column(values: Sequence[Any]) -> pl.Series:
    """Return values as a CSV has them: text, or null."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {int}:
        try:
            return pl.Series(values, dtype=pl.Int64).cast(pl.String)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)
    if not kinds <= {str, bool}:
        values = [_text(value) for value in values]
    return pl.Series(values, dtype=pl.String, strict=False)


def _text(value: Any) -> Any:
    if isinstance(value, dict | list):
        return NESTED
    return str(value) if type(value) is int else value
