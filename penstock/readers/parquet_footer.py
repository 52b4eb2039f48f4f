"""Reads the footer of a Parquet file, and checks that its claims are plausible for the file's size.

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
"""Maximum bytes of a footer."""
MANY = 5_000_000
"""Rows that a file of any size may have."""
ROWS_PER_BYTE = 20
"""Maximum rows per byte of the file above `MANY` rows: real rows differ from each other and take space."""
GROUP, GROUP_CELLS = 750_000_000, 250_000_000
"""Maximum uncompressed bytes and cells of a row group, which is held in memory as a whole."""


@dataclass(frozen=True)
class Chunk:
    """One column of one row group."""

    start: int
    """Position of its first byte in the file."""
    size: int
    """Bytes in the file."""
    unpacked: int
    """Uncompressed bytes."""
    values: int


@dataclass(frozen=True)
class Footer:
    """What the file claims about itself."""

    rows: int
    names: tuple[str, ...]
    groups: tuple[tuple[int, tuple[Chunk, ...]], ...]
    """Rows and columns of each row group."""


def read_footer(path: Path) -> Footer:
    """Read the footer of a file that begins as Parquet.

    Raises:
        TableError: it is missing or cannot be read.
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


def check_footer(footer: Footer, size: int) -> None:
    """Check that the footer's claims are plausible for a file of so many bytes.

    Raises:
        TableError: naming the claim that is not.
    """
    if not footer.names:
        raise TableError("the Parquet file has no columns")
    if sum(rows for rows, _ in footer.groups) != footer.rows:
        raise TableError("the Parquet file is damaged: its row groups are not the rows that it says it has")
    if footer.rows > max(MANY, ROWS_PER_BYTE * size):
        claim = f"the Parquet file claims {footer.rows:,} rows in {size:,} bytes"
        raise TableError(f"{claim}: this is no table but a compression bomb, or damaged")
    for rows, chunks in footer.groups:
        if any(chunk.start < 4 or chunk.start + chunk.size > size for chunk in chunks):
            raise TableError("the Parquet file is damaged or cut short: a column is said to be where there is no file")
        cells = sum(max(rows, chunk.values) for chunk in chunks)
        if sum(chunk.unpacked for chunk in chunks) > GROUP or cells > GROUP_CELLS:
            claim = f"a row group of the Parquet file has over {GROUP >> 30} GB or {GROUP_CELLS:,} cells"
            raise TableError(f"{claim}: write it with smaller row groups, of some 100,000 rows")


def _footer(fields: Mapping[int, Any]) -> Footer:
    if ENCRYPTED in fields:
        raise TableError("the Parquet file is encrypted: write it without encryption")
    schema = fields[2]
    if len(schema) > 10 * COLUMNS:
        raise TableError(f"the file has more than {COLUMNS:,} columns, at most {COLUMNS:,} are taken")
    return Footer(
        rows=_int(fields[3]),
        names=tuple(_column_names(schema)),
        groups=tuple((_int(group[3]), tuple(_chunk(chunk[3]) for chunk in group[1])) for group in fields[4]),
    )


def _column_names(schema: list[Mapping[int, Any]]) -> list[str]:
    """Return the columns' names from the schema, which is a tree in depth-first order."""
    names, at = [], 1
    for _ in range(schema[0].get(5, 0)):
        names.append(schema[at][4].decode())
        missing = 1
        while missing:
            missing += schema[at].get(5, 0) - 1
            at += 1
    return names


def _chunk(meta: Mapping[int, Any]) -> Chunk:
    start = _int(meta[9])
    # A dictionary precedes the data; some writers say 0 where there is none.
    dictionary = _int(meta.get(11, 0)) or start
    return Chunk(start=min(start, dictionary), size=_int(meta[7]), unpacked=_int(meta[6]), values=_int(meta[5]))


def _int(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value
