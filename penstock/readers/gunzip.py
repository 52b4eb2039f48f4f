"""A gzip file unpacked to disk, with bounds on what it may grow to."""

import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from penstock.readers import file_type as magic
from penstock.readers.table import TableError

CHUNK = 1 << 20
SMALL = 256 << 20
"""Bytes that any file may unpack to."""
RATIO = 200
"""How many times its size a file may unpack to above `SMALL`; data comes to 3 to 50, a bomb to 1,000."""
SPARE = 64 << 20
"""Bytes that are left free on the disk."""


def unpacked(path: Path, folder: Path) -> Path:
    """The content of a gzip file of one or more members, as a new file in the folder.

    Raises:
        TableError: it is damaged, cut short, followed by something else, gzip once more, or a bomb.
    """
    target = folder / "unpacked"
    most = max(SMALL, RATIO * path.stat().st_size)
    room = shutil.disk_usage(folder).free - SPARE
    size = 0
    with path.open("rb") as source, target.open("wb") as sink:
        for piece in _pieces(source):
            size += len(piece)
            if size > most:
                raise TableError(
                    f"the content unpacks to over {most >> 20:,} MB, more than {RATIO} times the file: "
                    "this is no table but a compression bomb"
                )
            if size > room:
                raise TableError(f"the content unpacks to over {room >> 20:,} MB, and there is no more room for it")
            sink.write(piece)
    if not size:
        raise TableError("the file is empty: it is gzip of nothing")
    _be_plain(target)
    return target


def _be_plain(path: Path) -> None:
    with path.open("rb") as file:
        kind = magic.looks_like(file.read(magic.HEAD))
    if kind == "gzip":
        raise TableError("the content is gzip within gzip: compress it once")


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    """The content, at most `CHUNK` bytes at a time."""
    at, data, members = 0, source.read(CHUNK), 0
    while data:
        if not data.startswith(b"\x1f"):
            # gzip itself takes padding with zeros, as tapes have it.
            if data.strip(b"\x00") or any(piece.strip(b"\x00") for piece in iter(lambda: source.read(CHUNK), b"")):
                raise TableError(f"there is something else behind the compressed content, at byte {at:,}")
            return
        members += 1
        one = zlib.decompressobj(wbits=31)
        while not one.eof:
            if not data:
                raise TableError("the file is cut short: its compressed content has no end; upload it again")
            yield _next(one, data)
            at += len(data) - len(one.unconsumed_tail)
            data = one.unconsumed_tail or (b"" if one.eof else source.read(CHUNK))
        at -= len(one.unused_data)
        data = one.unused_data or source.read(CHUNK)


def _next(one: "zlib._Decompress", data: bytes) -> bytes:
    try:
        return one.decompress(data, CHUNK)
    except zlib.error as error:
        check = "check" in str(error)
        said = "does not have the checksum that it should have" if check else "is damaged"
        raise TableError(f"the compressed content {said}; upload the file again") from None
