"""The bytes of a CSV file as blocks of whole rows, and where in a block its quotes, cells and lines are.

A quote opens a cell at its start only, and closes it at its end only (RFC 4180); then a byte is inside a cell's quotes
where the number of quotes before it is odd, which is a search in a sorted array and not a loop over bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

BLOCK = 16 << 20
"""Bytes of a block, and of a row at most."""
TAIL = 64 << 10
QUOTE, COMMA, NEWLINE, RETURN = b'",\n\r'
Places = NDArray[np.intp]


class FaultError(Exception):
    """Something is wrong at a byte of the file; `{line}` in the sentence stands for its line."""

    def __init__(self, at: int, sentence: str) -> None:
        super().__init__(sentence)
        self.at = at
        self.sentence = sentence


@dataclass(frozen=True)
class Block:
    """Some rows, as bytes; the first byte is the first of a row."""

    start: int
    """Byte of the file that is its first."""
    data: bytes

    @cached_property
    def bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def quotes(self) -> Places:
        """Where the quotes are."""
        return self.places(QUOTE) if b'"' in self.data else np.zeros(0, np.intp)

    def places(self, byte: int, start: int = 0) -> Places:
        """Where a byte is, from a place on."""
        return np.flatnonzero(self.bytes[start:] == byte) + start

    def outside(self, places: Places) -> Places:
        """Those of the places that are in no quotes."""
        return places[self.quotes.searchsorted(places) % 2 == 0] if len(self.quotes) else places

    def delimiters(self) -> int:
        """How many commas part cells."""
        if not len(self.quotes):
            return int(np.count_nonzero(self.bytes == COMMA))
        commas = self.places(COMMA)
        before = commas.searchsorted(self.quotes)
        return len(commas) - int((before[1::2] - before[: len(before) // 2 * 2 : 2]).sum())

    def ends(self, start: int = 0) -> Places:
        """The last byte of each line end that ends a row, from a place on: newline, CR and newline, or a lone CR."""
        found = self.places(NEWLINE, start)
        if b"\r" in self.data:
            returns = self.places(RETURN, start)
            following = self.bytes[np.minimum(returns + 1, len(self.data) - 1)]
            found = np.sort(np.concatenate([found, returns[following != NEWLINE]]))
        return self.outside(found)


def blocks(file: BinaryIO, size: int = BLOCK) -> Iterator[Block]:
    """The rest of a file, in blocks that end where a row ends.

    Raises:
        FaultError: a row is longer than a block, or a quote is not where it can be.
    """
    start, kept = file.tell(), b""
    while True:
        wanted = size - len(kept)
        more = file.read(wanted)
        final = len(more) < wanted
        data = kept + more
        if not data:
            return
        read = Block(start, data)
        whole = read if final else Block(start, data[: _cut(read)])
        be_quoted(whole)
        yield whole
        if final:
            return
        start, kept = start + len(whole.data), data[len(whole.data) :]


def be_quoted(block: Block) -> None:
    """Make sure that quotes open and close cells.

    Raises:
        FaultError: naming the first that does not.
    """
    quotes, data = block.quotes, block.bytes
    opening, closing = quotes[0::2], quotes[1::2]
    if not len(opening):
        return
    doubled = closing[: len(opening) - 1] + 1 == opening[1:]
    edges = np.isin(np.arange(256), [COMMA, NEWLINE, RETURN])
    opens = edges[data[opening - 1]] | (opening == 0)
    opens[1:] |= doubled
    closes = (closing == len(data) - 1) | edges[data[np.minimum(closing + 1, len(data) - 1)]]
    closes[: len(doubled)] |= doubled
    wrong = [*opening[~opens][:1], *closing[~closes][:1]]
    if wrong:
        raise FaultError(
            block.start + int(min(wrong)),
            "line {line} has a quote in the middle of a cell, or one before it is not closed: "
            "put a cell that holds a quote in quotes, and double the quote",
        )
    if len(opening) > len(closing):
        raise FaultError(block.start + int(quotes[-1]), "the quote that is opened in line {line} is never closed")


def _cut(block: Block) -> int:
    """Behind the last row that ends in a block that more bytes follow."""
    for start in (max(0, len(block.data) - TAIL), 0):
        ends = block.ends(start)
        # A \r that is the last byte may be the first half of a line end.
        if len(ends) and ends[-1] == len(block.data) - 1 and block.data.endswith(b"\r"):
            ends = ends[:-1]
        if len(ends):
            return int(ends[-1]) + 1
    limit = f"{len(block.data) >> 20:,} MB, more than a row may have"
    if len(block.quotes) % 2:
        be_quoted(Block(block.start, block.data[: int(block.quotes[-1])]))
        at = block.start + int(block.quotes[-1])
        raise FaultError(at, f"the quote that is opened in line {{line}} is not closed within {limit}")
    raise FaultError(block.start, f"line {{line}} is longer than {limit}: this is no table of rows, or damaged")


def plain(block: Block) -> bytes:
    """The rows with a newline for every line end, and without empty lines."""
    ends = block.ends()
    data = block.bytes.copy()
    data[ends] = NEWLINE
    crlf = ends[(ends > 0) & (block.bytes[ends - 1] == RETURN) & (block.bytes[ends] == NEWLINE)] - 1
    first = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    length = ends - first
    length -= np.isin(ends - 1, crlf)
    kept = np.ones(len(data), bool)
    kept[crlf] = False
    kept[ends[length == 0]] = False
    return data[kept].tobytes()
