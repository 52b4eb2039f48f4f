"""Writes rows into Parquet files of bounded size: the same rows give the same files, however they are batched."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from penstock.datasets.version import sample_times

CELLS, BYTES = 5_000_000, 128_000_000
"""Maximum cells and uncompressed bytes of a file: they bound what the process holds in memory."""
ROW_GROUP = 262_144


@dataclass(frozen=True)
class PartFile:
    """A Parquet file that was written."""

    path: Path
    sha256: str
    rows: int
    size: int
    """Bytes."""
    times: tuple[int, ...] = ()
    """Sorted sample of its rows' event times (µs since 1970)."""


@dataclass
class PartWriter:
    """Writes frames of one schema into files of a folder, in order."""

    folder: Path
    time: str | None = None
    """Column of the event time."""
    files: list[PartFile] = field(default_factory=list)
    _pending: list[pl.DataFrame] = field(default_factory=list)
    _bytes: int = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Add the next rows."""
        while rows.height:
            most = max(1, CELLS // rows.width) - sum(frame.height for frame in self._pending)
            weights = _weights(rows)
            fits = min(most, int((weights.cum_sum() <= BYTES - self._bytes).sum()))
            if fits < rows.height and not fits and not self._pending:
                fits = 1  # a row that exceeds the limits gets a file of its own
            self._pending.append(rows.head(fits))
            self._bytes += int(weights.head(fits).sum())
            rows = rows.slice(fits)
            if rows.height or fits == most:
                self._flush()

    def close(self) -> list[PartFile]:
        """Write the remaining rows; return all files."""
        self._flush()
        return self.files

    def clear(self) -> None:
        """Discard all rows and files."""
        for file in self.files:
            file.path.unlink()
        self.files, self._pending, self._bytes = [], [], 0

    def _flush(self) -> None:
        frames, self._pending, self._bytes = [frame for frame in self._pending if frame.height], [], 0
        if frames:
            self._write(pl.concat(frames))

    def _write(self, rows: pl.DataFrame) -> None:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{len(self.files):06d}.parquet"
        # One chunk and a fixed row group, so that the bytes do not depend on how rows were batched.
        rows.rechunk().write_parquet(path, compression="zstd", row_group_size=ROW_GROUP)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.files.append(PartFile(path, digest, rows.height, path.stat().st_size, self._times(rows)))

    def _times(self, rows: pl.DataFrame) -> tuple[int, ...]:
        if self.time is None:
            return ()
        return sample_times(rows[self.time].cast(pl.Datetime("us")).drop_nulls().dt.epoch("us").sort().to_list())


def _weights(rows: pl.DataFrame) -> pl.Series:
    """Return the bytes of each row: those of its texts, and 8 for each other cell."""
    texts = [name for name, kind in rows.schema.items() if kind == pl.String]
    others = pl.lit(8 * (rows.width - len(texts)), pl.Int64)
    lengths = [pl.col(name).str.len_bytes().fill_null(0).cast(pl.Int64) for name in texts]
    return rows.select(pl.sum_horizontal(others, *lengths).alias("bytes")).to_series()
