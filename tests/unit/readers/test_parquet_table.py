"""Parquet files keep their types; a damaged one is refused without a panic."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest

from penstock.readers.open_table import open_table, read_table
from tests.unit.readers.table_files import attempt, put

FRAME = pl.DataFrame(
    {
        "id": [f"r{i}" for i in range(3000)],
        "x": [i / 7 if i % 5 else None for i in range(3000)],
        "kind": pl.Series(["a", "b", "c"] * 1000, dtype=pl.Categorical),
        "on": pl.Series([18_000 + i % 9 for i in range(3000)]).cast(pl.Date),
        "nested": [[i, i] for i in range(3000)],
        "flag": [True, None, False] * 1000,
    }
)


@pytest.mark.parametrize("compression", ["uncompressed", "snappy", "gzip", "lz4", "zstd", "brotli"])
def test_parquet_keeps_its_types(compression: str, tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "file", compression=compression, row_group_size=700)  # type: ignore[arg-type]
    with open_table(tmp_path / "file", "a.PARQUET", scratch=tmp_path) as table:
        assert list(table.names) == FRAME.columns
        assert pl.concat(list(table.batches())).equals(FRAME)
        assert pl.concat(list(table.batches(["x", "id"]))).equals(FRAME.select("x", "id"))


def test_a_panic_of_polars_is_refused_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given Parquet files with eight flipped bytes each, so that Polars panics at some
    FRAME.write_parquet(tmp_path / "good", compression="uncompressed")
    good = (tmp_path / "good").read_bytes()
    refusals = 0
    for at in range(100, 2100, 40):
        path = put(tmp_path, good[:at] + bytes(255 - byte for byte in good[at : at + 8]) + good[at + 8 :])
        refusals += isinstance(attempt(partial(read_table, path.read_bytes(), "a.parquet")), str)
    # Then some are refused with a sentence, and nothing else is printed
    assert refusals
    assert capfd.readouterr() == ("", "")
