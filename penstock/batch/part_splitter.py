"""Splits checked rows into parts: JSON Lines with one line a row, either its instance or the reasons it is refused.

Parts are cut by number of rows and bytes, whatever the batches in which rows arrive, so that the same file always gives
the same parts. A line has the form of a captured row (`id`, `instance`), so that erasure handles both alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import polars as pl

from penstock.batch.names import REASON, inference_id
from penstock.batch.row_contract import NO_KEY
from penstock.contract.casting import NESTED
from penstock.contract.row_check import REASONS, ROW, Checked

PART_BYTES = 16_000_000
"""Maximum size of a part, unless a single row is larger."""


@dataclass
class PartSplitter:
    """Collects lines and writes a part whenever one is full."""

    write: Callable[[int, bytes], None]
    """Receives a part's number and its lines."""
    part_rows: int
    """Maximum rows of a part."""
    parts: int = 0
    """How many were written."""
    _lines: list[str] = field(default_factory=list)
    _bytes: int = 0

    def add(self, lines: Iterator[str]) -> None:
        """Add the next rows."""
        for line in lines:
            size = 4 * len(line) if not line.isascii() else len(line)
            if self._lines and (len(self._lines) == self.part_rows or self._bytes + size > PART_BYTES):
                self.close()
            self._lines.append(line)
            self._bytes += size

    def close(self) -> None:
        """Write the remaining rows."""
        if self._lines:
            self.write(self.parts, "\n".join([*self._lines, ""]).encode())
            self.parts += 1
            self._lines, self._bytes = [], 0


def part_lines(checked: Checked, first: int, work: str, key: str) -> Iterator[str]:
    """Yield the lines of checked rows, in the file's order.

    Args:
        checked: the next rows of the file.
        first: number of the first of them; the file's first row is 1.
        work: id of the work.
        key: the row key's column.
    """
    refusals = dict(zip(checked.bad[ROW].to_list(), _refusals(checked.bad, key), strict=True))
    instances = iter(_json_rows(checked.good.drop(NO_KEY, strict=False)))
    for row in range(first, first + checked.rows):
        rest = refusals[row] if row in refusals else f'"instance":{next(instances)}'
        yield f'{{"id":"{inference_id(work, row)}","row":{row},{rest}}}'


def _refusals(bad: pl.DataFrame, key: str) -> list[str]:
    """Return the line's content for each bad row: its key, where it has one that can be written, and the reasons."""
    has_key = key != NO_KEY and not (bad.schema[key].is_nested() or bad.schema[key] == pl.Binary)
    value = pl.col(key).cast(pl.String) if has_key else pl.lit(None, pl.String)
    keys = bad.select(pl.when(~value.str.starts_with(NESTED)).then(value).alias(key))
    reasons = bad.select(pl.col(REASONS).list.join("; ").alias(REASON))
    pairs = zip(_json_rows(keys) if has_key else ["{}"] * bad.height, _json_rows(reasons), strict=True)
    return [f'"instance":{instance},{reason[1:-1]}' for instance, reason in pairs]


def _json_rows(rows: pl.DataFrame) -> list[str]:
    """Return each row as a JSON object, with times as text."""
    times = [name for name, kind in rows.schema.items() if kind.is_temporal()]
    plain = rows.with_columns(pl.col(name).cast(pl.String) for name in times)
    return plain.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
