"""Compressed files that are damaged, have other content, or are bombs."""

import gzip

from tests.corpus.kinds import kind
from tests.corpus.text import GOOD, MEGABYTE, repeated


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


WHOLE = packed(GOOD)
PIECE = packed(b"1,2\n" * (MEGABYTE // 4))
"""A megabyte compressed to one kilobyte; the content of gzip members is concatenated."""

KINDS = {
    "gzip as CSV": kind("a.csv", WHOLE, "ends in .csv", "gzip", "name it .csv.gz"),
    "CSV as gzip": kind("a.csv.gz", GOOD, "ends in .csv.gz", "not compressed", "leave out the .gz"),
    "a zip as gzip": kind("a.csv.gz", b"PK\x03\x04" + bytes(40), "ends in .csv.gz", "a zip archive"),
    "gzip cut short": kind("a.csv.gz", WHOLE[: len(WHOLE) // 2], "cut short", "upload it again"),
    "gzip without its last byte": kind("a.csv.gz", WHOLE[:-1], "cut short"),
    "gzip cut short in its header": kind("a.csv.gz", WHOLE[:5], "cut short"),
    "gzip with a wrong checksum": kind("a.csv.gz", WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], "checksum"),
    "gzip with a wrong length": kind("a.csv.gz", WHOLE[:-4] + b"\1\0\0\0", "checksum"),
    "gzip with damaged content": kind("a.csv.gz", WHOLE[:40] + bytes(40) + WHOLE[80:], "compressed content"),
    "gzip of an unknown method": kind("a.csv.gz", b"\x1f\x8b\x63" + WHOLE[3:], "compressed content is damaged"),
    "something behind gzip": kind("a.csv.gz", WHOLE + b"surplus", "something else behind", f"byte {len(WHOLE):,}"),
    "a second member cut short": kind("a.csv.gz", WHOLE + WHOLE[:20], "cut short"),
    "gzip of nothing": kind("a.csv.gz", packed(b""), "the file is empty"),
    "gzip of gzip": kind("a.csv.gz", packed(WHOLE), "gzip within gzip", "compress it once"),
    "gzip of Latin-1": kind("a.csv.gz", packed(GOOD.decode().encode("latin-1")), "line 2", "not UTF-8"),
    "gzip of a PDF": kind("a.csv.gz", packed(b"%PDF-1.7"), "a PDF document"),
    "a bomb of rows": kind(
        "a.csv.gz", repeated(packed(b"a,b\n"), PIECE, 400), "over 256 MB", "compression bomb", bomb=True
    ),
    "a bomb of zeros": kind(
        "a.csv.gz", repeated(b"", packed(bytes(MEGABYTE)), 400), "over 256 MB", "compression bomb", bomb=True
    ),
    "a bomb of JSON": kind(
        "a.jsonl.gz", repeated(b"", packed(b'{"a":1}\n' * (MEGABYTE // 8)), 400), "compression bomb", bomb=True
    ),
    "200 MB on one line, compressed": kind(
        "a.csv.gz", repeated(packed(b"a,b\n1,"), packed(b"x" * MEGABYTE), 200), "line 2 is longer", bomb=True
    ),
}
