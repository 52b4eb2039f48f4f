"""dataframely: a schema, and `filter`, which returns the good rows and the failures."""

import sys
from typing import Any

import dataframely as dy
import polars as pl

from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS

columns: dict[str, Any] = {
    name: dy.Integer(nullable=False, min=int(LOW), max=int(HIGH))
    if index % 2
    else dy.Float(nullable=False, min=LOW, max=HIGH)
    for index, name in enumerate(NUMBERS)
}
columns |= {name: dy.String(nullable=False, check=lambda value: value.is_in(ALLOWED)) for name in TEXTS}
columns["id"] = dy.String(nullable=False, primary_key=True)
Rows: Any = type("Rows", (dy.Schema,), columns)
_, failed = Rows.filter(pl.read_parquet(sys.argv[1]))
print(len(failed))
