"""Parquet files that are cut short, damaged, encrypted, or make impossible claims."""

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl

from tests.corpus.kinds import kind

ROWS = 3001


def as_parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="uncompressed", statistics=False)
    return buffer.getvalue()


PARQUET = as_parquet(pl.DataFrame({"id": [f"r{i}" for i in range(ROWS)], "x": [i / 7 for i in range(ROWS)]}))
LENGTH = int.from_bytes(PARQUET[-8:-4], "little")
PAGES, FOOTER = PARQUET[: -8 - LENGTH], PARQUET[-8 - LENGTH : -8]


def closed(pages: bytes, footer: bytes) -> bytes:
    return pages + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def number(value: int) -> bytes:
    """Return a number as Thrift's compact protocol writes it."""
    value, out = value << 1, bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def claiming(rows: int) -> bytes:
    """Return a file that claims another number of rows, wherever the number occurs."""
    return closed(PAGES, FOOTER.replace(number(ROWS), number(rows)))


def page_claiming(size: int) -> bytes:
    """Return a file of one page that claims to unpack to so many bytes."""
    one = as_parquet(pl.DataFrame({"x": ["a" * 5000]}))
    length = int.from_bytes(one[-8:-4], "little")
    pages, footer = one[: -8 - length], one[-8 - length : -8]
    header = pages.index(number(5004), 4)
    return closed(pages[:header] + number(size) + pages[header + 2 :], footer)


def constant(path: Path) -> None:
    """Write six million equal rows, which take some kilobytes."""
    pl.select(x=pl.repeat(1, 6_000_000, dtype=pl.Int8)).write_parquet(path, compression="zstd")


def flipped(start: int, count: int = 8) -> bytes:
    """Return the file with some bytes inverted."""
    return PARQUET[:start] + bytes(255 - byte for byte in PARQUET[start : start + count]) + PARQUET[start + count :]


def wide(path: Path) -> None:
    pl.DataFrame({f"c{i}": [1] for i in range(2500)}).write_parquet(path)


BOMBS: dict[str, tuple[bytes | Callable[[Path], None], tuple[str, ...]]] = {
    "Parquet that claims 2^31 rows": (claiming(1 << 31), ("2,147,483,648 rows in", "compression bomb")),
    "Parquet that claims 2^62 rows": (claiming(1 << 62), ("rows in", "compression bomb")),
    "Parquet of six million equal rows": (constant, ("6,000,000 rows in", "compression bomb")),
    "Parquet with a page of 1.9 GB": (page_claiming(1_900_000_000), ("a page", "1,811 MB", "compression bomb")),
}

KINDS = {name: kind("a.parquet", content, *words, bomb=True) for name, (content, words) in BOMBS.items()} | {
    "empty Parquet": kind("a.parquet", b"", "the file is empty"),
    "only Parquet's magic": kind("a.parquet", b"PAR1", "cut short"),
    "Parquet's magic twice": kind("a.parquet", b"PAR1PAR1", "cut short"),
    "only a Parquet footer": kind("a.parquet", closed(b"PAR1", FOOTER), "where there is no file"),
    "Parquet cut short": kind("a.parquet", PARQUET[: len(PARQUET) // 2], "cut short", "upload it again"),
    "Parquet without its last byte": kind("a.parquet", PARQUET[:-1], "cut short"),
    "Parquet with a hole": kind("a.parquet", PARQUET[:2000] + PARQUET[3000:], "Parquet file is"),
    "Parquet with a footer of 2 GB": kind("a.parquet", PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1", "no room"),
    "Parquet with a footer of noise": kind("a.parquet", closed(PAGES, bytes(range(256))), "its footer cannot be read"),
    "Parquet with an empty footer": kind("a.parquet", closed(PAGES, b"\x00"), "its footer cannot be read"),
    "Parquet with a flipped footer": kind("a.parquet", flipped(len(PAGES) + 20), "Parquet file is damaged"),
    "Parquet with a flipped page header": kind("a.parquet", flipped(4), "Parquet file is damaged"),
    "Parquet with flipped text": kind("a.parquet", flipped(600, 2000), "Parquet file is damaged"),
    "Parquet with zeros for pages": kind("a.parquet", closed(b"PAR1" + bytes(len(PAGES) - 4), FOOTER), "damaged"),
    "Parquet with fewer rows than it says": kind("a.parquet", claiming(4000), "Parquet file is damaged"),
    "encrypted Parquet": kind("a.parquet", b"PARE" + PARQUET[4:-4] + b"PARE", "encrypted", "without encryption"),
    "Parquet with an encrypted footer": kind("a.parquet", PARQUET[:-4] + b"PARE", "encrypted", "without encryption"),
    "Parquet without columns": kind("a.parquet", as_parquet(pl.DataFrame()), "no columns"),
    "Parquet with a name twice": kind(
        "a.parquet", closed(PAGES, FOOTER.replace(b"\x02id", b"\x01x")), "have the same name"
    ),
    "Parquet with 2,500 columns": kind("a.parquet", wide, "2,500 columns", "at most 2,000"),
}
