"""The scores of a batch are written in the input's format, whichever of the readable ones it is."""

from pathlib import Path

import polars as pl
import pytest

from penstock.batch.output_formats import open_output
from penstock.readers.open_table import ENDINGS, read_table


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_output_is_read_by_the_name_of_its_input(ending: str, tmp_path: Path) -> None:
    # Given an output of two parts
    output = open_output(f"file{ending}", tmp_path / "output", ())
    output.add([{"row": 1, "score": 0.5}])
    output.add([{"row": 2, "score": 0.25}])
    # When it is complete
    data = output.close().read_bytes()
    # Then it is a file of the format that the name says
    assert read_table(data, f"file{ending}").cast(pl.String).rows() == [("1", "0.5"), ("2", "0.25")]
