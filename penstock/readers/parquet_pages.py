"""The pages of a Parquet file, walked by their headers alone: what each will be once unpacked.

The footer's sums may say one thing and a page's header another, and the header is what memory is taken by.
"""

from pathlib import Path
from typing import BinaryIO

from penstock.readers.parquet_footer import Chunk, Footer
from penstock.readers.table import TableError
from penstock.readers.thrift import Reader, ThriftError

PAGE = 512 << 20
"""Bytes of a page at most, uncompressed."""
SHORT, HEADER = 512, 256 << 10
"""Bytes that a page's header is looked for in; it may hold the least and greatest values."""
SLACK = 64 << 10
"""Bytes by which the footer's sums may be short: some writers leave headers out of them."""
SIZE, PACKED, DATA, VALUES = 2, 3, (5, 8), 1
"""Fields of a page's header: its size unpacked and in the file; data pages' own headers, and the values in them."""
DAMAGED = "the Parquet file is damaged: the pages of a column are not as its footer says; upload it again"


def be_pages(path: Path, footer: Footer) -> None:
    """Make sure that the pages are where the footer says, and of sizes that can be held.

    Raises:
        TableError: saying what is not.
    """
    with path.open("rb") as file:
        for _, chunks in footer.groups:
            for chunk in chunks:
                _be_chunk(file, chunk)


def _be_chunk(file: BinaryIO, chunk: Chunk) -> None:
    at, end, unpacked, values = chunk.start, chunk.start + chunk.size, 0, 0
    while at < end:
        try:
            reader = _header(file, at, end)
            page = reader.fields
            size, packed = int(page[SIZE]), int(page[PACKED])
            values += next((int(page[kind][VALUES]) for kind in DATA if kind in page), 0)
        except (ThriftError, KeyError, TypeError, ValueError, AttributeError):
            raise TableError(DAMAGED) from None
        if size > PAGE:
            raise TableError(
                f"a page of the Parquet file unpacks to {size >> 20:,} MB, at most {PAGE >> 20} are taken: "
                "this is no table but a compression bomb, or damaged"
            )
        unpacked += size
        at += reader.at + packed
        if size < 0 or packed < 0 or at > end + SLACK:
            raise TableError(DAMAGED)
    if values != chunk.values or unpacked > chunk.unpacked + SLACK:
        raise TableError(DAMAGED)


def _header(file: BinaryIO, at: int, end: int) -> Reader:
    """A reader that has read the header at a byte; most are short, few are not."""
    for most in (SHORT, HEADER):
        file.seek(at)
        reader = Reader(file.read(min(most, end - at)))
        try:
            reader.fields = reader.struct()
        except ThriftError:
            continue
        return reader
    raise ThriftError
