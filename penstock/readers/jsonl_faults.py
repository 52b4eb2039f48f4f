"""Finds the fault in a block of JSON Lines that was refused, line by line.

Only a block with a fault, or with a possible one, is searched, so that speed does not matter here.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.readers.csv_blocks import Block, FaultError
from penstock.readers.table import shorten

ONE = msgspec.json.Decoder(dict[str, msgspec.Raw])
SPACED = (b" :", b"\t:", b"\n:", b"\r:")
MEND = "write each row as one object on a line of its own"
WORDS = ("NaN", "Infinity", "-Infinity", "nan")


class _RepeatedError(Exception):
    """An object has a key twice."""


def check_keys(block: Block, rows: Sequence[dict[str, Any]]) -> None:
    """Check that no object has a key twice: the decoder would silently keep one of the values.

    The number of decoded keys is compared with the number of places in the block where a string ends and a colon
    follows, and the number of objects with that of lines. A block with an escaped quote before a colon is read line by
    line.

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
            json.loads(line, object_pairs_hook=_unique_keys, parse_int=str, parse_float=str)
        except _RepeatedError as repeated:
            sentence = f"line {{line}} has the key {shorten(str(repeated))!r} twice: leave one of them out"
            raise FaultError(at, sentence) from None
        except (ValueError, RecursionError) as error:
            # The decoder of whole blocks also accepts an object over two lines, or two on one.
            raise FaultError(at, f"line {{line}} {_fault(line.strip(), error, last=False)}") from None


def first_fault(block: Block) -> FaultError:
    """Return the fault of the first line that is no object."""
    for at, line in _lines(block):
        try:
            ONE.decode(line)
            msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            last = at + len(line) >= block.start + len(block.data)
            return FaultError(at, f"line {{line}} {_fault(line.strip(), error, last=last)}")
    return FaultError(block.start, "the rows from line {line} on cannot be read as JSON Lines: " + MEND)


def _fault(line: bytes, error: Exception, *, last: bool) -> str:
    """Return the rest of the sentence: the first cause that applies."""
    word = next((word for word in WORDS if _is_value(line, word)), "")
    causes = {
        "has arrays or objects within each other, deeper than is read": isinstance(error, RecursionError),
        "has a number of more digits than a number may have: write it as text, in quotes": "range" in str(error),
        f"is an array, and not an object: {MEND}, without brackets and commas around it": line.startswith(b"["),
        f"is no JSON object: {MEND}": not line.startswith(b"{"),
        f"has {word}, which is not JSON: write null for a value that is missing": word,
        f"is cut short: {'upload the file again' if last else MEND}": "truncated" in str(error) and line[-1:] != b"}",
        f"ends with a comma: {MEND}, without commas between them": line.endswith(b"},"),
        "has keys in single quotes, which is not JSON: write double quotes": b"'" in line[:3],
    }
    return next((cause for cause, applies in causes.items() if applies), f"is not a JSON object: {MEND}")


def _is_value(line: bytes, word: str) -> bool:
    """Return whether a word without quotes stands where a value does."""
    without_blanks = line.replace(b" ", b"")
    return any(before + word.encode() in without_blanks for before in (b'":', b"[", b","))


def _lines(block: Block) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, each with the position of its first byte in the file."""
    at = block.start
    for line in block.data.split(b"\n"):
        if line.strip():
            yield at, line
        at += len(line) + 1


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedError(next(name for name in names if names.count(name) > 1))
    return row
