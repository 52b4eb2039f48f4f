"""What is wrong with a block of JSON Lines that cannot be taken as it is, found line by line.

Only a block with a fault, or one that may have one, comes here: how long it takes does not matter.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.readers.csv_blocks import Block, FaultError
from penstock.readers.table import shortened

ONE = msgspec.json.Decoder(dict[str, msgspec.Raw])
SPACED = (b" :", b"\t:", b"\n:", b"\r:")
MEND = "write each row as one object on a line of its own"
WORDS = ("NaN", "Infinity", "-Infinity", "nan")


class _RepeatedError(Exception):
    """A key that an object has twice."""


def be_single(block: Block, rows: Sequence[dict[str, Any]]) -> None:
    """Make sure that no object has a key twice: a decoder keeps one of the values and says nothing.

    Keys that were decoded are counted against the places in the block where a string ends and a colon follows, and
    objects against lines; a block with an escaped quote before a colon is gone through line by line.

    Raises:
        FaultError: naming the line and the key, or the line that is not one object.
    """
    data = block.data
    if not any(sign in data for sign in SPACED):
        keys, lines = data.count(b'":'), sum(1 for line in data.split(b"\n") if line.strip())
        if b'\\":' not in data and keys == sum(map(len, rows)) and lines == len(rows):
            return
    for at, line in _lines(block):
        try:
            json.loads(line, object_pairs_hook=_pairs, parse_int=str, parse_float=str)
        except _RepeatedError as repeated:
            said = f"line {{line}} has the key {shortened(str(repeated))!r} twice: leave one of them out"
            raise FaultError(at, said) from None
        except (ValueError, RecursionError) as error:
            # The decoder of whole blocks also takes an object over two lines, or two on one.
            raise FaultError(at, f"line {{line}} {_said(line.strip(), error, last=False)}") from None


def first_fault(block: Block) -> FaultError:
    """What is wrong with the first line that is no object."""
    for at, line in _lines(block):
        try:
            ONE.decode(line)
            msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            last = at + len(line) >= block.start + len(block.data)
            return FaultError(at, f"line {{line}} {_said(line.strip(), error, last=last)}")
    return FaultError(block.start, "the rows from line {line} on cannot be read as JSON Lines: " + MEND)


def _said(line: bytes, error: Exception, *, last: bool) -> str:
    """The rest of the sentence: the first of these that is so."""
    bare = next((word for word in WORDS if _bare(line, word)), "")
    causes = {
        "has arrays or objects within each other, deeper than is read": isinstance(error, RecursionError),
        "has a number of more digits than a number may have: write it as text, in quotes": "range" in str(error),
        f"is an array, and not an object: {MEND}, without brackets and commas around it": line.startswith(b"["),
        f"is no JSON object: {MEND}": not line.startswith(b"{"),
        f"has {bare}, which is not JSON: write null for a value that is missing": bare,
        f"is cut short: {'upload the file again' if last else MEND}": "truncated" in str(error) and line[-1:] != b"}",
        f"ends with a comma: {MEND}, without commas between them": line.endswith(b"},"),
        "has keys in single quotes, which is not JSON: write double quotes": b"'" in line[:3],
    }
    return next((said for said, so in causes.items() if so), f"is not a JSON object: {MEND}")


def _bare(line: bytes, word: str) -> bool:
    """Whether a word stands where a value does."""
    squeezed = line.replace(b" ", b"")
    return any(before + word.encode() in squeezed for before in (b'":', b"[", b","))


def _lines(block: Block) -> Iterator[tuple[int, bytes]]:
    """Lines that hold something, each with the byte of the file that is its first."""
    at = block.start
    for line in block.data.split(b"\n"):
        if line.strip():
            yield at, line
        at += len(line) + 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedError(next(name for name in names if names.count(name) > 1))
    return made
