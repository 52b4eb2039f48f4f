"""Unpacks a gzip file to disk, within limits on the unpacked size."""

import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from penstock.readers.file_type import HEAD, file_type
from penstock.readers.table import TableError

CHUNK = 1 << 20
SMALL = 256 << 20
"""Bytes to which any file may unpack."""
RATIO = 200
"""Above `SMALL`, a file may unpack to this many times its size; data has a ratio of 3 to 50, a bomb of 1,000."""
SPARE = 64 << 20
"""Bytes to leave free on the disk."""


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a gzip file of one or more members into a new file in the folder.

    Raises:
        TableError: it is damaged, cut short, followed by other bytes, gzip within gzip, or a bomb.
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
    with target.open("rb") as file:
        if file_type(file.read(HEAD)) == "gzip":
            raise TableError("the content is gzip within gzip: compress it once")
    return target


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    """Yield the content, at most `CHUNK` bytes at a time."""
    at, data = 0, source.read(CHUNK)
    while data:
        if not data.startswith(b"\x1f"):
            # gzip itself accepts padding with zeros, as on tapes.
            if data.strip(b"\x00") or any(piece.strip(b"\x00") for piece in iter(lambda: source.read(CHUNK), b"")):
                raise TableError(f"there is something else behind the compressed content, at byte {at:,}")
            return
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not data:
                raise TableError("the file is cut short: its compressed content has no end; upload it again")
            yield _decompress(member, data)
            at += len(data) - len(member.unconsumed_tail)
            data = member.unconsumed_tail or (b"" if member.eof else source.read(CHUNK))
        at -= len(member.unused_data)
        data = member.unused_data or source.read(CHUNK)


def _decompress(member: "zlib._Decompress", data: bytes) -> bytes:
    try:
        return member.decompress(data, CHUNK)
    except zlib.error as error:
        fault = "does not have the checksum that it should have" if "check" in str(error) else "is damaged"
        raise TableError(f"the compressed content {fault}; upload the file again") from None
