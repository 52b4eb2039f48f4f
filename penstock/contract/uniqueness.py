"""What must be unique in a file, told without keeping the file.

The first reading keeps 8 bytes of hash for each row. Where no hash comes twice, nothing does, and that is nearly always
so. Else the file is read again, and only rows with such a hash are looked at: value by value, so that two values that
happen to have one hash are not mistaken for one.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

Names = tuple[str, ...]
Repeated = Mapping[Names, pl.Series]
"""For columns whose values are unique together: the hashes (UInt64) that came more than once."""


class Uniqueness:
    """One reading of a file. A row in which a column is missing, or that is bad anyway, repeats nothing."""

    def __init__(self, unique: Sequence[Names], repeated: Repeated | None) -> None:
        self._unique = tuple(dict.fromkeys(unique))
        self._known = repeated
        self._hashes: dict[Names, list[pl.Series]] = {names: [] for names in self._unique}
        self._seen: dict[Names, set[object]] = {names: set() for names in self._unique}

    def repeats(self, rows: pl.DataFrame, good: pl.Series) -> Iterator[tuple[Names, pl.Series]]:
        """For columns that some of the next rows repeat: which rows (Boolean). A first reading knows of none yet."""
        for names in self._unique:
            hashes = rows.select(_hash(names)).to_series()
            if self._known is None:
                self._hashes[names].append(hashes.drop_nulls())
            elif names in self._known:
                bad = self._again(names, rows, good & hashes.is_in(self._known[names].implode()).fill_null(value=False))
                if bad.any():
                    yield names, bad

    def repeated(self) -> Repeated | None:
        """After a first reading: what came more than once; None where nothing did, and after a second."""
        found: dict[Names, pl.Series] = {}
        for names, parts in self._hashes.items():
            hashes = pl.concat(parts) if parts else pl.Series(dtype=pl.UInt64)
            if hashes.n_unique() < hashes.len():
                found[names] = hashes.filter(hashes.is_duplicated()).unique()
        return found or None

    def _again(self, names: Names, rows: pl.DataFrame, candidates: pl.Series) -> pl.Series:
        seen, bad = self._seen[names], []
        for value in rows.filter(candidates).select(names).iter_rows():
            bad.append(value in seen)
            seen.add(value)
        places = candidates.arg_true().filter(pl.Series(bad, dtype=pl.Boolean))
        return pl.select(pl.int_range(rows.height).is_in(places.cast(pl.Int64).implode())).to_series()


def _hash(names: Names) -> pl.Expr:
    columns = [pl.col(name) for name in names]
    value = columns[0].hash() if len(names) == 1 else pl.struct(columns).hash()
    return pl.when(pl.all_horizontal(column.is_not_null() for column in columns)).then(value)
