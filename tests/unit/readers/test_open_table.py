"""Any file is opened as a table of bounded batches, or refused in one line."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.readers.open_table import BATCH, CELLS, ENDINGS, TableError, is_readable, open_table, read_table
from tests.unit.readers.table_files import attempt, put


def test_a_batch_is_bounded_in_rows_and_cells(tmp_path: Path) -> None:
    # Given a long table and a wide one, in each format
    long = pl.DataFrame({"n": range(BATCH + 10)})
    wide = pl.DataFrame({f"c{i}": ["x"] * 6000 for i in range(1000)})
    writers: dict[str, Callable[[pl.DataFrame, Path], object]] = {
        "a.csv": lambda frame, path: frame.write_csv(path),
        "a.parquet": lambda frame, path: frame.write_parquet(path),
    }
    for frame in (long, wide):
        for name, write in writers.items():
            write(frame, tmp_path / name)
            with open_table(tmp_path / name, name, scratch=tmp_path) as table:
                heights = [batch.height for batch in table.batches()]
            # Then no batch is too large, and all rows are there
            assert sum(heights) == frame.height
            assert max(heights) <= min(BATCH, CELLS // frame.width)


def test_the_extension_of_any_case_decides_what_is_readable(tmp_path: Path) -> None:
    assert all(is_readable(f"a/b{ending.upper()}") for ending in ENDINGS)
    assert not any(
        is_readable(name) for name in ("a", "a.txt", "csv", "a.csv.zip", "a.csv.bz2", "a.parquet.gz", "a.gz")
    )
    with (
        pytest.raises(TableError, match=r"'a.txt' does not end in .csv, .csv.gz, .*or .parquet"),
        open_table(put(tmp_path, b"a\n1\n"), "x/a.txt", scratch=tmp_path),
    ):
        pass


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from(ENDINGS))
def test_any_bytes_are_a_table_or_refused_in_one_line(data: bytes, name: str) -> None:
    result = attempt(lambda: read_table(data, f"a{name}"))
    assert isinstance(result, pl.DataFrame) or "\n" not in result
