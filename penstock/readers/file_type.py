"""Recognises a file's type by its first bytes, to refuse one whose extension says something else."""

from pathlib import Path

from penstock.readers.table import TableError

HEAD = 4096
BOM = b"\xef\xbb\xbf"
STARTS = (
    (b"PAR1", "Parquet"),
    (b"PARE", "encrypted Parquet"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (such as .xls)"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"\x80\x05\x95", "a Python pickle"),
    (b"{\\rtf", "an RTF document"),
)
ENCODED = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
"""Byte order marks, the longer first."""
MENDS = {
    "gzip": "name it .csv.gz, .jsonl.gz or .ndjson.gz, or unpack it",
    "Parquet": "name it .parquet",
    "encrypted Parquet": "write it without encryption",
    "text": "write it in UTF-8",
}


def file_type(head: bytes) -> str | None:
    """Return the type of a file by its first bytes; None where it may be text in UTF-8."""
    if head.startswith(b"PK\x03\x04") and (b"xl/" in head or b"[Content_Types].xml" in head):
        return "an Excel workbook or another Office document"
    if kind := next((kind for start, kind in STARTS if head.startswith(start)), None):
        return kind
    if head[257:262] == b"ustar":
        return "a tar archive"
    if encoding := _encoding(head):
        return f"text in {encoding}"
    text = head.removeprefix(BOM).lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    return "an XML document" if text.startswith((b"<?xml", b"<error", b"<!--")) else None


def check_type(path: Path, expected: str, name: str) -> None:
    """Check that a file has the type that its extension says.

    Args:
        path: where it is.
        expected: `gzip`, `Parquet` or `text`.
        name: its name as uploaded.

    Raises:
        TableError: it has another type.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    kind = file_type(head)
    if kind == expected or (expected == "text" and kind is None):
        return
    own = name.rpartition("/")[2].partition(".")[2]
    raise TableError(_refusal(kind, expected, f".{own}", head))


def _refusal(kind: str | None, expected: str, ending: str, head: bytes) -> str:
    if kind is None and expected == "gzip":
        return f"the file's name ends in {ending}, but the content is not compressed: leave out the .gz, or compress it"
    if kind is None:
        content = "plain text" if b"\x00" not in head else "something else"
        return f"the file's name ends in {ending}, but the content is {content}, not {expected}"
    mend = MENDS.get(kind.split(" in ")[0], "")
    return f"the file's name ends in {ending}, but the content is {kind}" + (f": {mend}" if mend else "")


def _encoding(head: bytes) -> str | None:
    if encoding := next((encoding for mark, encoding in ENCODED if head.startswith(mark)), None):
        return encoding
    zeros = [head[i::4].count(0) * 4 > 0.8 * len(head) for i in range(4)] if len(head) >= 8 else [False] * 4
    if sum(zeros) == 3:
        return "UTF-32"
    return "UTF-16" if zeros in ([True, False, True, False], [False, True, False, True]) else None
