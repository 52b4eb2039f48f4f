"""The rows to check: 12 numbers, 8 categories, and a unique id in no order."""

import random
from pathlib import Path

import polars as pl

from bench.check.rules import ALLOWED, NUMBERS, TEXTS

ROWS = 1_000_000


def table(rows: int, *, bad: int) -> pl.DataFrame:
    """Return rows of which `bad` break one rule each, spread over all columns."""
    source = random.Random(7)
    columns: dict[str, pl.Series] = {}
    for index, name in enumerate(NUMBERS):
        values = pl.select(pl.int_range(rows).shuffle(seed=index) % 1000).to_series()
        columns[name] = values if index % 2 else values.cast(pl.Float64) + 0.25
    for index, name in enumerate(TEXTS):
        places = pl.select(pl.int_range(rows).shuffle(seed=100 + index) % len(ALLOWED)).to_series()
        columns[name] = pl.Series(ALLOWED)[places]
    columns["id"] = pl.select(pl.format("id-{}", pl.int_range(10**8, 10**8 + rows).shuffle(seed=5))).to_series()
    frame = pl.DataFrame(columns)
    for place, row in enumerate(source.sample(range(rows), bad)):
        name = [*NUMBERS, *TEXTS][place % 20]
        wrong = pl.lit("no such category") if name in TEXTS else pl.lit(5000)
        frame = frame.with_columns(pl.when(pl.int_range(rows) == row).then(wrong).otherwise(pl.col(name)).alias(name))
    return frame


def write_csv(path: Path, size: int) -> None:
    """Write a CSV file of the same columns, at least `size` bytes long."""
    part = table(ROWS // 4, bad=0)
    start = 0
    with path.open("wb") as file:
        while file.tell() < size:
            ids = pl.format("id-{}", pl.int_range(start, start + part.height))
            part.with_columns(id=ids).write_csv(file, include_header=start == 0)
            start += part.height
