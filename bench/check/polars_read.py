"""Read the columns with Polars: the floor."""

import sys

import polars as pl

print(pl.read_parquet(sys.argv[1]).height and 0)
