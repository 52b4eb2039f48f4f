"""Opens an uploaded file of any size as a table: batches of rows, or one sentence that says why it is refused.

The name's extension decides how the content is read; `penstock.readers.file_type` recognises content of another type.
Each format has a module of its own, and none holds more of a file in memory than a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from penstock.readers.file_type import check_type
from penstock.readers.table import BATCH, CELLS, COLUMNS, Table, TableError

__all__ = ["BATCH", "CELLS", "COLUMNS", "ENDINGS", "Table", "TableError", "is_readable", "open_table", "read_table"]

ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")


def is_readable(name: str) -> bool:
    """Return whether a file's name has the extension of a format that can be read."""
    return name.lower().endswith(ENDINGS)


@contextmanager
def open_table(path: Path, name: str, *, scratch: Path) -> Iterator[Table]:
    """Open a file as a table.

    Args:
        path: where it is on disk.
        name: its name as uploaded; the extension decides how it is read.
        scratch: an existing folder on a disk with room; what is written there is removed afterwards.

    Raises:
        TableError: the extension is none of `ENDINGS`, or the content is not what it says.
    """
    if not is_readable(name):
        own = name.rpartition("/")[2]
        raise TableError(f"{own!r} does not end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, so it is not read")
    with TemporaryDirectory(dir=scratch) as folder:
        yield _open(path, name.lower(), Path(folder))


def read_table(data: bytes, name: str) -> pl.DataFrame:
    """Read the whole of a small file, as `open_table` does.

    Raises:
        TableError: as `open_table`.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        with open_table(path, name, scratch=Path(folder)) as table:
            batches = list(table.batches())
            return pl.concat(batches) if batches else pl.DataFrame(schema=dict.fromkeys(table.names, pl.String))


def _open(path: Path, name: str, scratch: Path) -> Table:
    if not path.is_file():
        raise TableError("this is a folder, not a file" if path.is_dir() else "this is no file")
    if not path.stat().st_size:
        raise TableError("the file is empty")
    if name.endswith(".gz"):
        from penstock.readers.gunzip import unpack  # noqa: PLC0415 - a format's module is loaded where a file has it

        check_type(path, "gzip", name)
        path, name = unpack(path, scratch), name.removesuffix(".gz")
    if name.endswith(".parquet"):
        from penstock.readers.parquet_table import ParquetTable  # noqa: PLC0415

        check_type(path, "Parquet", name)
        return ParquetTable(path)
    check_type(path, "text", name)
    if name.endswith(".csv"):
        from penstock.readers.csv_table import CsvTable  # noqa: PLC0415

        return CsvTable(path)
    from penstock.readers.jsonl_table import JsonTable  # noqa: PLC0415

    return JsonTable(path, scratch)
