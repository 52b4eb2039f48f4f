"""Rows into Parquet files, cut where their number says: the same rows are the same files, whoever writes them."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from penstock.dataset import spread

CELLS = 5_000_000
"""Of one file: what a process holds in memory is bounded by it."""
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

    def add(self, rows: pl.DataFrame) -> None:
        """Take the next rows."""
        if not rows.height:
            return
        self._waiting.append(rows)
        most = max(1, CELLS // rows.width)
        while sum(frame.height for frame in self._waiting) >= most:
            held = pl.concat(self._waiting)
            self._waiting = [held.slice(most)] if held.height > most else []
            self._write(held.head(most))

    def close(self) -> list[Written]:
        """Write what is left; all the files."""
        if self._waiting:
            self._write(pl.concat(self._waiting))
            self._waiting = []
        return self.written

    def clear(self) -> None:
        """Begin anew."""
        for file in self.written:
            file.path.unlink()
        self.written, self._waiting = [], []

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
