"""Faults in a text file: bytes that are no text, and the line that a byte is in."""

from pathlib import Path

from penstock.readers.csv_blocks import FaultError
from penstock.readers.table import TableError

CHUNK = 4 << 20


def line_of(path: Path, at: int) -> int:
    """Return the line that a byte is in, the first being 1; a lone CR ends a line too."""
    lines, after = 1, b""
    with path.open("rb") as file:
        while at > 0 and (data := file.read(min(CHUNK, at))):
            at -= len(data)
            ends = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
            lines += ends - (after == b"\r" and data.startswith(b"\n"))
            after = data[-1:]
    return lines


def table_error(path: Path, fault: FaultError) -> TableError:
    """Return a fault as a refusal that names the line."""
    return TableError(fault.sentence.replace("{line}", f"{line_of(path, fault.at):,}"))


def check_text(start: int, data: bytes) -> None:
    """Check that bytes are UTF-8 without NUL.

    Args:
        start: position of the first of them in the file.
        data: whole lines.

    Raises:
        FaultError: naming the first byte that is not.
    """
    if (zero := data.find(b"\x00")) >= 0:
        sentence = f"line {{line}} holds a NUL at byte {start + zero:,}: the file is damaged or no text"
        raise FaultError(start + zero, sentence)
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        at = start + error.start
        raise FaultError(at, f"line {{line}} is not UTF-8 at byte {at:,}: write the file in UTF-8") from None
