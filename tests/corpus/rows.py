"""Readable files that only the contract of flight-delay refuses."""

import json

import polars as pl

from demo.flights import flights
from tests.corpus.kinds import kind
from tests.corpus.parquet_files import as_parquet

GOOD = flights([1]).head(400)
HALF = pl.int_range(pl.len()) % 10 < 6


def csv(*changes: pl.Expr, **columns: pl.Expr) -> bytes:
    return GOOD.with_columns(*changes, **columns).write_csv().encode()


def part(column: str, value: str) -> pl.Expr:
    """Return a column with another text in six of ten rows."""
    return pl.when(HALF).then(pl.lit(value)).otherwise(pl.col(column).cast(pl.String)).alias(column)


NESTED = [row | {"distance": [row["distance"]]} for row in json.loads(GOOD.write_json())]

KINDS = {
    "header only": kind("a.csv", GOOD.clear().write_csv().encode(), "there are no rows"),
    "zero rows in Parquet": kind("a.parquet", as_parquet(GOOD.clear()), "there are no rows"),
    "other columns": kind("a.csv", b"a,b\n1,2\n", "'flight_id' is missing", "departs_at"),
    "a required column missing": kind("a.csv", GOOD.drop("dep_delay").write_csv().encode(), "'dep_delay' is missing"),
    "the target missing": kind("a.parquet", as_parquet(GOOD.drop("late")), "'late' is missing"),
    "a column in other letters": kind(
        "a.csv", GOOD.rename({"distance": "Distance"}).write_csv().encode(), "'distance' is missing"
    ),
    "rows without a header": kind(
        "a.csv", GOOD.write_csv(include_header=False).encode(), "have the same name", "is the header missing?"
    ),
    "columns in another language": kind(
        "a.csv",
        GOOD.rename({name: f"{name}_é" for name in GOOD.columns}).write_csv().encode(),
        "'flight_id' is missing",
    ),
    "one key for all": kind("a.csv", csv(flight_id=pl.lit("x")), "flight_id", "more than once"),
    "every row twice": kind("a.csv", pl.concat([GOOD, GOOD]).write_csv().encode(), "flight_id", "more than once"),
    "a required column of nulls": kind("a.csv", csv(carrier=pl.lit(None)), "400 × carrier: missing"),
    "only nulls": kind("a.csv", csv(*(pl.lit(None).alias(name) for name in GOOD.columns)), "missing"),
    "words for numbers": kind("a.csv", csv(dep_delay=pl.lit("late")), "400 × dep_delay: not a number"),
    "words for numbers in most rows": kind(
        "a.csv", csv(part("dep_delay", "late")), "240 of 400", "dep_delay: not a number"
    ),
    "infinite numbers": kind("a.csv", csv(dep_delay=pl.lit("inf")), "dep_delay: not a finite number"),
    "fractions for whole numbers": kind("a.csv", csv(weekday=pl.lit("1.5")), "weekday: not a whole number"),
    "decimal commas": kind("a.csv", csv(distance=pl.lit("1,5")), "distance: not a number"),
    "other words for true and false": kind("a.csv", csv(part("late", "oui")), "late: not true or false"),
    "days in another order": kind("a.csv", csv(departs_at=pl.lit("31.01.2013 08:00")), "departs_at: not a timestamp"),
    "out of range": kind("a.csv", csv(distance=pl.lit(-5)), "distance: below 1"),
    "values that are not allowed": kind("a.csv", csv(part("origin", "ZRH")), "240 of 400", "origin: not one of EWR"),
    "texts of another form": kind("a.csv", csv(part("dest", "boston")), "dest: not of the form"),
    "texts that are too long": kind("a.csv", csv(manufacturer=pl.lit("x" * 50)), "manufacturer: longer than 40"),
    "columns that were swapped": kind(
        "a.csv", GOOD.rename({"dest": "origin", "origin": "dest"}).write_csv().encode(), "origin: not"
    ),
    "arrays for numbers": kind("a.jsonl", "\n".join(map(json.dumps, NESTED)).encode(), "distance: not a number"),
    "times for numbers in Parquet": kind(
        "a.parquet", as_parquet(GOOD.with_columns(distance=pl.lit("2013-01-01").str.to_date())), "distance"
    ),
}
