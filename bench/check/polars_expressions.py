"""Count bad rows with the rules written by hand as Polars expressions over the whole table."""

import sys

import polars as pl

from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS

rows = pl.read_parquet(sys.argv[1])
bad = [pl.col(name).is_null() | ~pl.col(name).is_between(LOW, HIGH) for name in NUMBERS]
bad += [pl.col(name).is_null() | ~pl.col(name).is_in(ALLOWED) for name in TEXTS]
bad.append(pl.col("id").is_null() | ~pl.col("id").is_first_distinct())
print(rows.select(pl.any_horizontal(bad).sum()).item())
