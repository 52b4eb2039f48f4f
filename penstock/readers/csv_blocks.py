"""The bytes of a CSV file in blocks of whole rows, and the positions of quotes, cells and lines in a block.

A quote opens a cell only at its start and closes it only at its end (RFC 4180). Hence a byte is inside a cell's quotes
where the number of quotes before it is odd, which is a search in a sorted array instead of a loop over bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

BLOCK = 16 << 20
"""Maximum bytes of a block, and of a row."""
TAIL = 64 << 10
QUOTE, COMMA, NEWLINE, RETURN = b'",\n\r'
Positions = NDArray[np.intp]


class FaultError(Exception):
    """A fault at a byte of the file; `{line}` in the sentence stands for its line."""

    def __init__(self, at: int, sentence: str) -> None:
        super().__init__(sentence)
        self.at = at
        self.sentence = sentence


@dataclass(frozen=True)
class Block:
    """Some rows as bytes, beginning with the first byte of a row."""

    start: int
    """Position of the first byte in the file."""
    data: bytes

    @cached_property
    def bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def quotes(self) -> Positions:
        """Positions of the quotes."""
        return self.positions(QUOTE) if b'"' in self.data else np.zeros(0, np.intp)

    def positions(self, byte: int, start: int = 0) -> Positions:
        """Return the positions of a byte, from a position on."""
        return np.flatnonzero(self.bytes[start:] == byte) + start

    def outside_quotes(self, positions: Positions) -> Positions:
        """Return the positions that are not within quotes."""
        return positions[self.quotes.searchsorted(positions) % 2 == 0] if len(self.quotes) else positions

    def count_delimiters(self) -> int:
        """Count the commas that separate cells."""
        if not len(self.quotes):
            return int(np.count_nonzero(self.bytes == COMMA))
        commas = self.positions(COMMA)
        before = commas.searchsorted(self.quotes)
        return len(commas) - int((before[1::2] - before[: len(before) // 2 * 2 : 2]).sum())

    def row_ends(self, start: int = 0) -> Positions:
        """Return the last byte of each line end that ends a row: newline, CR and newline, or a lone CR."""
        ends = self.positions(NEWLINE, start)
        if b"\r" in self.data:
            returns = self.positions(RETURN, start)
            following = self.bytes[np.minimum(returns + 1, len(self.data) - 1)]
            ends = np.sort(np.concatenate([ends, returns[following != NEWLINE]]))
        return self.outside_quotes(ends)


def read_blocks(file: BinaryIO, size: int = BLOCK) -> Iterator[Block]:
    """Read the rest of a file in blocks that end where a row ends.

    Raises:
        FaultError: a row is longer than a block, or a quote is where none can be.
    """
    start, remainder = file.tell(), b""
    while True:
        missing = size - len(remainder)
        more = file.read(missing)
        is_last = len(more) < missing
        data = remainder + more
        if not data:
            return
        block = Block(start, data)
        whole = block if is_last else Block(start, data[: _last_row_end(block)])
        check_quotes(whole)
        yield whole
        if is_last:
            return
        start, remainder = start + len(whole.data), data[len(whole.data) :]


def check_quotes(block: Block) -> None:
    """Check that quotes open and close cells.

    Raises:
        FaultError: naming the first that does not.
    """
    quotes, data = block.quotes, block.bytes
    opening, closing = quotes[0::2], quotes[1::2]
    if not len(opening):
        return
    is_doubled = closing[: len(opening) - 1] + 1 == opening[1:]
    is_edge = np.isin(np.arange(256), [COMMA, NEWLINE, RETURN])
    opens = is_edge[data[opening - 1]] | (opening == 0)
    opens[1:] |= is_doubled
    closes = (closing == len(data) - 1) | is_edge[data[np.minimum(closing + 1, len(data) - 1)]]
    closes[: len(is_doubled)] |= is_doubled
    wrong = [*opening[~opens][:1], *closing[~closes][:1]]
    if wrong:
        raise FaultError(
            block.start + int(min(wrong)),
            "line {line} has a quote in the middle of a cell, or one before it is not closed: "
            "put a cell that holds a quote in quotes, and double the quote",
        )
    if len(opening) > len(closing):
        raise FaultError(block.start + int(quotes[-1]), "the quote that is opened in line {line} is never closed")


def _last_row_end(block: Block) -> int:
    """Return the position behind the last whole row of a block that more bytes follow."""
    for start in (max(0, len(block.data) - TAIL), 0):
        ends = block.row_ends(start)
        # A \r that is the last byte may be the first half of a line end.
        if len(ends) and ends[-1] == len(block.data) - 1 and block.data.endswith(b"\r"):
            ends = ends[:-1]
        if len(ends):
            return int(ends[-1]) + 1
    limit = f"{len(block.data) >> 20:,} MB, more than a row may have"
    if len(block.quotes) % 2:
        check_quotes(Block(block.start, block.data[: int(block.quotes[-1])]))
        at = block.start + int(block.quotes[-1])
        raise FaultError(at, f"the quote that is opened in line {{line}} is not closed within {limit}")
    raise FaultError(block.start, f"line {{line}} is longer than {limit}: this is no table of rows, or damaged")


def normalize_lines(block: Block) -> bytes:
    """Return the rows with a newline for every line end, and without empty lines."""
    ends = block.row_ends()
    data = block.bytes.copy()
    data[ends] = NEWLINE
    crlf = ends[(ends > 0) & (block.bytes[ends - 1] == RETURN) & (block.bytes[ends] == NEWLINE)] - 1
    first = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    length = ends - first
    length -= np.isin(ends - 1, crlf)
    keep = np.ones(len(data), bool)
    keep[crlf] = False
    keep[ends[length == 0]] = False
    return data[keep].tobytes()
