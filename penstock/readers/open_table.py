"""An upload from a file on disk, whatever its size: batches of rows, or one sentence that says why there are none.

The name's ending says what the content has to be; `penstock.readers.file_type` tells what it is instead. Each format
has a module of its own, and none holds more of a file than a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from penstock.readers import file_type as magic
from penstock.readers.table import BATCH, CELLS, COLUMNS, Table, TableError

__all__ = ["BATCH", "CELLS", "COLUMNS", "ENDINGS", "Table", "TableError", "open_table", "read_table", "readable"]

ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")


def readable(name: str) -> bool:
    """Whether a file's name says that it is a table that can be read."""
    return name.lower().endswith(ENDINGS)


@contextmanager
def open_table(path: Path, name: str, *, scratch: Path) -> Iterator[Table]:
    """A file as a table.

    Args:
        path: where it is on disk.
        name: what it was uploaded as; the ending decides how it is read.
        scratch: an existing folder on a disk with room; what is put there is removed afterwards.

    Raises:
        TableError: an ending that is none of `ENDINGS`, or content that is not what the ending says.
    """
    if not readable(name):
        own = name.rpartition("/")[2]
        raise TableError(f"{own!r} does not end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, so it is not read")
    with TemporaryDirectory(dir=scratch) as folder:
        yield _opened(path, name.lower(), Path(folder))


def read_table(data: bytes, name: str) -> pl.DataFrame:
    """The whole of a small file, as `open_table` reads it.

    Raises:
        TableError: as `open_table`.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        with open_table(path, name, scratch=Path(folder)) as table:
            batches = list(table.batches())
            return pl.concat(batches) if batches else pl.DataFrame(schema=dict.fromkeys(table.names, pl.String))


def _opened(path: Path, name: str, scratch: Path) -> Table:
    if not path.is_file():
        raise TableError("this is a folder, not a file" if path.is_dir() else "this is no file")
    if not path.stat().st_size:
        raise TableError("the file is empty")
    if name.endswith(".gz"):
        from penstock.readers import gunzip as reading_gzip  # noqa: PLC0415 - each format's module is loaded where a file is of it

        magic.be(path, "gzip", name)
        path, name = reading_gzip.unpacked(path, scratch), name.removesuffix(".gz")
    if name.endswith(".parquet"):
        from penstock.readers import parquet_table as reading_parquet  # noqa: PLC0415

        magic.be(path, "Parquet", name)
        return reading_parquet.ParquetTable(path)
    magic.be(path, "text", name)
    if name.endswith(".csv"):
        from penstock.readers import csv_table as reading_csv  # noqa: PLC0415

        return reading_csv.CsvTable(path)
    from penstock.readers import jsonl_table as reading_json  # noqa: PLC0415

    return reading_json.JsonTable(path, scratch)
