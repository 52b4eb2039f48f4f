"""Places in a text file: which line a byte is in, and where it is no text."""

from pathlib import Path

from penstock.readers.csv_blocks import FaultError
from penstock.readers.table import TableError

CHUNK = 4 << 20


def line_of(path: Path, at: int) -> int:
    """The line that a byte is in, the first being 1; a lone CR ends a line too."""
    lines, after = 1, b""
    with path.open("rb") as file:
        while at > 0 and (data := file.read(min(CHUNK, at))):
            at -= len(data)
            ends = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
            lines += ends - (after == b"\r" and data.startswith(b"\n"))
            after = data[-1:]
    return lines


def located(path: Path, fault: FaultError) -> TableError:
    """The fault as a refusal that names the line."""
    return TableError(fault.sentence.replace("{line}", f"{line_of(path, fault.at):,}"))


def be_text(start: int, data: bytes) -> None:
    """Make sure that bytes are text.

    Args:
        start: the byte of the file that is the first of them.
        data: whole lines.

    Raises:
        FaultError: there is a NUL, or something that is no UTF-8.
    """
    if (zero := data.find(b"\x00")) >= 0:
        said = f"line {{line}} holds a NUL at byte {start + zero:,}: the file is damaged or no text"
        raise FaultError(start + zero, said)
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        at = start + error.start
        raise FaultError(at, f"line {{line}} is not UTF-8 at byte {at:,}: write the file in UTF-8") from None
