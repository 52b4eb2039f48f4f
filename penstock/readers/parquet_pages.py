"""Checks the pages of a Parquet file by their headers alone: how large each is once unpacked.

The footer's sums and a page's header may disagree, and readers allocate memory by the header.
"""

from pathlib import Path
from typing import BinaryIO

from penstock.readers.parquet_footer import Chunk, Footer
from penstock.readers.table import TableError
from penstock.readers.thrift import Reader, ThriftError

PAGE = 512 << 20
"""Maximum uncompressed bytes of a page."""
SHORT, HEADER = 512, 256 << 10
"""Bytes to read for a page's header: mostly the few suffice, but it may hold the least and greatest values."""
SLACK = 64 << 10
"""Bytes by which the footer's sums may be too small: some writers do not count headers."""
UNPACKED_SIZE, FILE_SIZE, DATA_HEADERS, VALUES = 2, 3, (5, 8), 1
"""Fields of a page's header: its size unpacked and in the file; the headers of data pages, and the values in those."""
DAMAGED = "the Parquet file is damaged: the pages of a column are not as its footer says; upload it again"


def check_pages(path: Path, footer: Footer) -> None:
    """Check that the pages are where the footer says, and that each fits in memory.

    Raises:
        TableError: naming what is wrong.
    """
    with path.open("rb") as file:
        for _, chunks in footer.groups:
            for chunk in chunks:
                _check_chunk(file, chunk)


def _check_chunk(file: BinaryIO, chunk: Chunk) -> None:
    at, end, unpacked, values = chunk.start, chunk.start + chunk.size, 0, 0
    while at < end:
        try:
            reader = _read_header(file, at, end)
            page = reader.fields
            size, file_size = int(page[UNPACKED_SIZE]), int(page[FILE_SIZE])
            values += next((int(page[kind][VALUES]) for kind in DATA_HEADERS if kind in page), 0)
        except (ThriftError, KeyError, TypeError, ValueError, AttributeError):
            raise TableError(DAMAGED) from None
        if size > PAGE:
            raise TableError(
                f"a page of the Parquet file unpacks to {size >> 20:,} MB, at most {PAGE >> 20} are taken: "
                "this is no table but a compression bomb, or damaged"
            )
        unpacked += size
        at += reader.at + file_size
        if size < 0 or file_size < 0 or at > end + SLACK:
            raise TableError(DAMAGED)
    if values != chunk.values or unpacked > chunk.unpacked + SLACK:
        raise TableError(DAMAGED)


def _read_header(file: BinaryIO, at: int, end: int) -> Reader:
    """Return a reader that has read the header at a position; nearly all are short."""
    for most in (SHORT, HEADER):
        file.seek(at)
        reader = Reader(file.read(min(most, end - at)))
        try:
            reader.fields = reader.struct()
        except ThriftError:
            continue
        return reader
    raise ThriftError
