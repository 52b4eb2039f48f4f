"""Identity of rows: keys for rows that come without one, and uniqueness, both without keeping the file."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

_SEPARATOR, _NULL = "\x1f", "\x00"
Names = tuple[str, ...]
Repeated = Mapping[Names, pl.Series]
"""For columns whose values are unique together: the hashes (UInt64) that occur more than once."""


class RowKeys:
    """Keys derived from the content of one file's rows, batch after batch.

    The same row has the same key, whatever file or format it comes in, so that it keeps its side of the split and a
    repeated upload adds nothing. Equal rows within one file are numbered, so that all of them are kept. Unlike a key in
    the data, a derived key makes a row that is corrected later another row.

    Remembers each row by a digest: some 100 bytes of memory a row.
    """

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()

    def derive(self, rows: pl.DataFrame) -> pl.Series:
        """Return the keys of the next rows, in order: 24 hex digits, for the second of equal rows with `-2`.

        Args:
            rows: the contract's columns but the key, typed, so that a value is the same text in every format.
        """
        names = sorted(rows.columns)
        texts = [pl.col(name).cast(pl.String).fill_null(_NULL) for name in names]
        lines = rows.select(pl.concat_str(texts, separator=_SEPARATOR).alias("line"))["line"]
        return pl.Series([self._key(line) for line in lines], dtype=pl.String)

    def _key(self, line: str) -> str:
        digest = hashlib.blake2b(line.encode(), digest_size=12).digest()
        short = digest[:8]
        self._counts[short] += 1
        nth = self._counts[short]
        return digest.hex() if nth == 1 else f"{digest.hex()}-{nth}"


class Uniqueness:
    """Finds repeated values in one reading of a file.

    The first reading keeps 8 bytes of hash for each row. Where no hash occurs twice, no value does, and that is nearly
    always so. Otherwise the file is read again, and only rows with such a hash are compared, by value, so that two
    values that happen to have one hash are not mistaken for one.

    A row in which a column is missing, or that is bad anyway, repeats nothing.
    """

    def __init__(self, unique: Sequence[Names], repeated: Repeated | None) -> None:
        """Begin a reading.

        Args:
            unique: the columns whose values must be unique together.
            repeated: what the first reading returned; None in the first reading.
        """
        self._unique = tuple(dict.fromkeys(unique))
        self._repeated = repeated
        self._hashes: dict[Names, list[pl.Series]] = {names: [] for names in self._unique}
        self._values: dict[Names, set[object]] = {names: set() for names in self._unique}

    def repeats(self, rows: pl.DataFrame, good: pl.Series) -> Iterator[tuple[Names, pl.Series]]:
        """Yield the columns that some of the next rows repeat, with those rows (Boolean); none in a first reading."""
        for names in self._unique:
            hashes = rows.select(_hash(names)).to_series()
            if self._repeated is None:
                self._hashes[names].append(hashes.drop_nulls())
            elif names in self._repeated:
                is_candidate = hashes.is_in(self._repeated[names].implode()).fill_null(value=False)
                bad = self._compare(names, rows, good & is_candidate)
                if bad.any():
                    yield names, bad

    def repeated(self) -> Repeated | None:
        """Return what occurred more than once in a first reading; None where nothing did, and after a second."""
        repeated: dict[Names, pl.Series] = {}
        for names, parts in self._hashes.items():
            hashes = pl.concat(parts) if parts else pl.Series(dtype=pl.UInt64)
            if hashes.n_unique() < hashes.len():
                repeated[names] = hashes.filter(hashes.is_duplicated()).unique()
        return repeated or None

    def _compare(self, names: Names, rows: pl.DataFrame, candidates: pl.Series) -> pl.Series:
        values, is_repeat = self._values[names], []
        for value in rows.filter(candidates).select(names).iter_rows():
            is_repeat.append(value in values)
            values.add(value)
        places = candidates.arg_true().filter(pl.Series(is_repeat, dtype=pl.Boolean))
        return pl.select(pl.int_range(rows.height).is_in(places.cast(pl.Int64).implode())).to_series()


def _hash(names: Names) -> pl.Expr:
    columns = [pl.col(name) for name in names]
    value = columns[0].hash() if len(names) == 1 else pl.struct(columns).hash()
    return pl.when(pl.all_horizontal(column.is_not_null() for column in columns)).then(value)
