"""What a Parquet file says of itself at its end, and whether that can be true of a file of its size.

Fields by their numbers in https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.readers.table import COLUMNS, TableError
from penstock.readers.thrift import Reader, ThriftError

MAGIC = b"PAR1"
ENCRYPTED = 8
FOOTER = 64 << 20
"""Bytes of a footer at most."""
MANY = 5_000_000
"""Rows that any file may have."""
ROWS_PER_BYTE = 20
"""How many rows there may be for a byte of the file when there are more than `MANY`: real rows differ."""
GROUP, GROUP_CELLS = 750_000_000, 250_000_000
"""Bytes, uncompressed, and cells of a row group at most: it is what is held at a time."""


@dataclass(frozen=True)
class Chunk:
    """One column of one row group."""

    start: int
    """Byte of the file that is its first."""
    size: int
    """Bytes of it in the file."""
    unpacked: int
    """Bytes of it, uncompressed."""
    values: int


@dataclass(frozen=True)
class Footer:
    """As the file claims it."""

    rows: int
    names: tuple[str, ...]
    groups: tuple[tuple[int, tuple[Chunk, ...]], ...]
    """Rows and columns of each row group."""


def read_footer(path: Path) -> Footer:
    """The footer of a file that begins as Parquet.

    Raises:
        TableError: there is none, or none that can be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read()
        if size < 12 or (tail.endswith(MAGIC) and size < 12 + int.from_bytes(tail[:4], "little")):
            raise TableError("the Parquet file is cut short, or damaged: it has no room for what its end announces")
        if tail.endswith(b"PARE"):
            raise TableError("the Parquet file is encrypted: write it without encryption")
        if not tail.endswith(MAGIC):
            raise TableError("the Parquet file is cut short: its end is missing; upload it again")
        length = int.from_bytes(tail[:4], "little")
        if length > FOOTER:
            raise TableError(f"the Parquet file's footer has {length >> 20:,} MB, at most {FOOTER >> 20} are read")
        file.seek(size - 8 - length)
        data = file.read(length)
    try:
        return _footer(Reader(data).struct())
    except (ThriftError, KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError):
        raise TableError("the Parquet file is damaged: its footer cannot be read; upload it again") from None


def be_sound(footer: Footer, size: int) -> None:
    """Make sure that what the footer claims fits a file of so many bytes.

    Raises:
        TableError: saying what does not.
    """
    if not footer.names:
        raise TableError("the Parquet file has no columns")
    if sum(rows for rows, _ in footer.groups) != footer.rows:
        raise TableError("the Parquet file is damaged: its row groups are not the rows that it says it has")
    if footer.rows > max(MANY, ROWS_PER_BYTE * size):
        said = f"the Parquet file claims {footer.rows:,} rows in {size:,} bytes"
        raise TableError(f"{said}: this is no table but a compression bomb, or damaged")
    for rows, chunks in footer.groups:
        if any(chunk.start < 4 or chunk.start + chunk.size > size for chunk in chunks):
            raise TableError("the Parquet file is damaged or cut short: a column is said to be where there is no file")
        cells = sum(max(rows, chunk.values) for chunk in chunks)
        if sum(chunk.unpacked for chunk in chunks) > GROUP or cells > GROUP_CELLS:
            said = f"a row group of the Parquet file has over {GROUP >> 30} GB or {GROUP_CELLS:,} cells"
            raise TableError(f"{said}: write it with smaller row groups, of some 100,000 rows")


def _footer(fields: Mapping[int, Any]) -> Footer:
    if ENCRYPTED in fields:
        raise TableError("the Parquet file is encrypted: write it without encryption")
    schema = fields[2]
    if len(schema) > 10 * COLUMNS:
        raise TableError(f"the file has more than {COLUMNS:,} columns, at most {COLUMNS:,} are taken")
    return Footer(
        rows=_int(fields[3]),
        names=tuple(_top(schema)),
        groups=tuple((_int(group[3]), tuple(_chunk(chunk[3]) for chunk in group[1])) for group in fields[4]),
    )


def _top(schema: list[Mapping[int, Any]]) -> list[str]:
    """The columns' names out of the schema, which is a tree in depth-first order."""
    names, at = [], 1
    for _ in range(schema[0].get(5, 0)):
        names.append(schema[at][4].decode())
        waiting = 1
        while waiting:
            waiting += schema[at].get(5, 0) - 1
            at += 1
    return names


def _chunk(meta: Mapping[int, Any]) -> Chunk:
    start = _int(meta[9])
    # A dictionary comes before the data; some writers say 0 where there is none.
    dictionary = _int(meta.get(11, 0)) or start
    return Chunk(start=min(start, dictionary), size=_int(meta[7]), unpacked=_int(meta[6]), values=_int(meta[5]))


def _int(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value
