"""Rows into Parquet files, cut where their number says: the same rows are the same files, whoever writes them."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from penstock.datasets.version import spread

CELLS, BYTES = 5_000_000, 128_000_000
"""Of one file, before it is packed: what a process holds in memory is bounded by them."""
ROW_GROUP = 262_144


@dataclass(frozen=True)
class Written:
    """One Parquet file."""

    path: Path
    sha256: str
    rows: int
    size: int
    """Bytes."""
    times: tuple[int, ...] = ()
    """Event times (µs since 1970), spread over its rows, sorted."""


@dataclass
class PartWriter:
    """Writes frames of one schema into files of a folder, in order."""

    folder: Path
    time: str | None = None
    """The column with the event time."""
    written: list[Written] = field(default_factory=list)
    _waiting: list[pl.DataFrame] = field(default_factory=list)
    _bytes: int = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take the next rows."""
        while rows.height:
            most = max(1, CELLS // rows.width) - sum(frame.height for frame in self._waiting)
            weights = _weights(rows)
            fits = min(most, int((weights.cum_sum() <= BYTES - self._bytes).sum()))
            if fits < rows.height and not fits and not self._waiting:
                fits = 1  # a row that is larger than a file is one
            self._waiting.append(rows.head(fits))
            self._bytes += int(weights.head(fits).sum())
            rows = rows.slice(fits)
            if rows.height or fits == most:
                self._flush()

    def close(self) -> list[Written]:
        """Write what is left; all the files."""
        self._flush()
        return self.written

    def clear(self) -> None:
        """Begin anew."""
        for file in self.written:
            file.path.unlink()
        self.written, self._waiting, self._bytes = [], [], 0

    def _flush(self) -> None:
        waiting, self._waiting, self._bytes = [frame for frame in self._waiting if frame.height], [], 0
        if waiting:
            self._write(pl.concat(waiting))

    def _write(self, rows: pl.DataFrame) -> None:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{len(self.written):06d}.parquet"
        # One chunk and a fixed row group: else how rows came in batches would show in the bytes.
        rows.rechunk().write_parquet(path, compression="zstd", row_group_size=ROW_GROUP)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.written.append(Written(path, digest, rows.height, path.stat().st_size, self._times(rows)))

    def _times(self, rows: pl.DataFrame) -> tuple[int, ...]:
        if self.time is None:
            return ()
        return spread(rows[self.time].cast(pl.Datetime("us")).drop_nulls().dt.epoch("us").sort().to_list())


def _weights(rows: pl.DataFrame) -> pl.Series:
    """Bytes of each row: of its texts, and 8 for each other cell."""
    texts = [name for name, kind in rows.schema.items() if kind == pl.String]
    plain = pl.lit(8 * (rows.width - len(texts)), pl.Int64)
    lengths = [pl.col(name).str.len_bytes().fill_null(0).cast(pl.Int64) for name in texts]
    return rows.select(pl.sum_horizontal(plain, *lengths).alias("bytes")).to_series()
