"""The difference between two dataset versions: rows, parts, columns, and the distribution of each column."""

import io
from collections.abc import Callable
from typing import Any

import polars as pl

from penstock.datasets.version import Dataset
from penstock.monitoring import drift

Read = Callable[[str], bytes]
"""Reads a part's content by its digest."""


def compare(one: Dataset, two: Dataset, read: Read) -> dict[str, Any]:
    """Compare two dataset versions; the changes from `one` to `two`, as JSON.

    Distributions are compared over the columns of both, in bins of the first version, as the monitor does; a PSI above
    `noise` is more than two samples of one distribution show by chance. Text that hardly ever repeats (a row key) has
    no meaningful frequencies and is left out.
    """
    before, after = ([part.sha256 for part in dataset.parts] for dataset in (one, two))
    first, second = _table(one, read), _table(two, read)
    shared = [name for name in first.columns if name in second.columns]
    retyped = [name for name in shared if first.schema[name] != second.schema[name]]
    return {
        "a": one.version,
        "b": two.version,
        "rows": {"a": one.rows, "b": two.rows, "change": two.rows - one.rows},
        "parts": {
            "added": [part for part in after if part not in before],
            "removed": [part for part in before if part not in after],
            "kept": len(set(before) & set(after)),
        },
        "contract": {"a": one.contract, "b": two.contract},
        "columns": {
            "added": [name for name in second.columns if name not in first.columns],
            "removed": [name for name in first.columns if name not in second.columns],
            "retyped": retyped,
        },
        "distributions": _distributions(first, second, [name for name in shared if name not in retyped]),
    }


def _table(dataset: Dataset, read: Read) -> pl.DataFrame:
    tables = [pl.read_parquet(io.BytesIO(read(part.sha256))) for part in dataset.parts]
    return pl.concat(tables, how="diagonal_relaxed") if tables else pl.DataFrame()


def _distributions(first: pl.DataFrame, second: pl.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    compared = [name for name in names if first.height and second.height and not _is_key(first[name])]
    distances = []
    for name in compared:
        expected, actual = _values(first[name]), _values(second[name])
        bins = drift.bins_of(expected, numeric=first.schema[name] != pl.String)
        counts = [list(bins.count(values).values()) for values in (expected, actual)]
        chance = drift.noise(len(counts[0]), first.height, second.height, drift.ALPHA / len(compared))
        distances.append({"column": name, "psi": drift.psi(*counts), "noise": chance})
    return sorted(distances, key=lambda item: -item["psi"])


def _is_key(values: pl.Series) -> bool:
    return values.dtype == pl.String and values.n_unique() > max(drift.CATEGORIES, values.len() / 2)


def _values(values: pl.Series) -> list[Any]:
    if values.dtype.is_temporal():
        return values.cast(pl.Datetime("us")).dt.epoch("s").to_list()
    return values.to_list()
