"""Rows dealt into parts: a line a row, as it will be asked of the model or with the reasons why it will not.

Parts are cut where rows and bytes say, whatever the batches in which rows come, so that the same file is always the
same parts. A line has the form of a captured row (`id`, `instance`), so that what forgets those forgets these.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import polars as pl

from functions.plan_batch.rules import NO_KEY
from penstock.batches import REASON, inference_id
from penstock.contract.casting import NESTED
from penstock.contract.row_check import REASONS, ROW, Checked

PART_BYTES = 16_000_000
"""Of a part, unless one row is more."""


@dataclass
class Dealer:
    """Gathers lines and gives away a part whenever one is full."""

    give: Callable[[int, bytes], None]
    """Takes a part's number and its lines."""
    most: int
    """Rows of a part."""
    parts: int = 0
    _lines: list[str] = field(default_factory=list)
    _bytes: int = 0

    def add(self, lines: Iterator[str]) -> None:
        """Take the next rows."""
        for line in lines:
            size = 4 * len(line) if not line.isascii() else len(line)
            if self._lines and (len(self._lines) == self.most or self._bytes + size > PART_BYTES):
                self.close()
            self._lines.append(line)
            self._bytes += size

    def close(self) -> None:
        """Give away what is left."""
        if self._lines:
            self.give(self.parts, "\n".join([*self._lines, ""]).encode())
            self.parts += 1
            self._lines, self._bytes = [], 0


def lines(checked: Checked, first: int, work: str, key: str) -> Iterator[str]:
    """The lines of checked rows, in the file's order.

    Args:
        checked: the next rows of the file.
        first: number of the first of them; the file's first row is 1.
        work: the work's name.
        key: the row key's column.
    """
    bad = dict(zip(checked.bad[ROW].to_list(), _refused(checked.bad, key), strict=True))
    good = iter(_json(checked.good.drop(NO_KEY, strict=False)))
    for row in range(first, first + checked.rows):
        rest = bad[row] if row in bad else f'"instance":{next(good)}'
        yield f'{{"id":"{inference_id(work, row)}","row":{row},{rest}}}'


def _refused(bad: pl.DataFrame, key: str) -> list[str]:
    """What a line says of each bad row: its key, where it has one that can be written, and the reasons."""
    has = key != NO_KEY and not (bad.schema[key].is_nested() or bad.schema[key] == pl.Binary)
    value = pl.col(key).cast(pl.String) if has else pl.lit(None, pl.String)
    shown = bad.select(pl.when(~value.str.starts_with(NESTED)).then(value).alias(key))
    reasons = bad.select(pl.col(REASONS).list.join("; ").alias(REASON))
    pairs = zip(_json(shown) if has else ["{}"] * bad.height, _json(reasons), strict=True)
    return [f'"instance":{instance},{reason[1:-1]}' for instance, reason in pairs]


def _json(rows: pl.DataFrame) -> list[str]:
    """Each row as a JSON object; a time as text."""
    times = [name for name, kind in rows.schema.items() if kind.is_temporal()]
    plain = rows.with_columns(pl.col(name).cast(pl.String) for name in times)
    return plain.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
