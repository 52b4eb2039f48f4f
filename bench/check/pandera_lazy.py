"""pandera on Polars: a schema, and a lazy validation, which collects every failure."""

import sys

import pandera.polars as pa
import polars as pl

from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS

columns = {
    name: pa.Column(pl.Int64 if index % 2 else pl.Float64, pa.Check.in_range(LOW, HIGH))
    for index, name in enumerate(NUMBERS)
}
columns |= {name: pa.Column(pl.String, pa.Check.isin(ALLOWED)) for name in TEXTS}
schema = pa.DataFrameSchema(columns | {"id": pa.Column(pl.String, unique=True)})
try:
    schema.validate(pl.read_parquet(sys.argv[1]), lazy=True)
    print(0)
except pa.errors.SchemaErrors as error:
    print(error.failure_cases.height)
