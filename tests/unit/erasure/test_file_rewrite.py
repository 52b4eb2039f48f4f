"""A file is rewritten in its own format, whichever of the readable ones it is."""

import polars as pl
import pytest

from penstock.erasure.file_rewrite import to_bytes
from penstock.readers.open_table import ENDINGS, read_table


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_rewritten_is_read_by_its_name(ending: str) -> None:
    rows = pl.DataFrame({"key": ["a", "b"], "number": [1, 2]})
    table = read_table(to_bytes(rows, f"file{ending}"), f"file{ending}")
    assert table.cast(pl.String).rows() == [("a", "1"), ("b", "2")]
