"""Gzip files are unpacked, in members and chunks of any size."""

import gzip
from pathlib import Path

import pytest

from penstock.readers import gunzip
from penstock.readers.open_table import open_table, read_table
from tests.unit.readers.table_files import cells, put


@pytest.mark.parametrize("name", ["a.csv.gz", "A.CSV.GZ", "folder.d/a.Csv.gz"])
@pytest.mark.parametrize("members", [1, 2, 5])
def test_gzip_may_have_several_members_and_padding(name: str, members: int, tmp_path: Path) -> None:
    # Given a CSV compressed in pieces that end anywhere, padded with zeros as on tapes
    data = b"a,b\n" + b'1,"x\ny"\n' * 1000
    step = len(data) // members + 1
    packed = b"".join(gzip.compress(data[i : i + step]) for i in range(0, len(data), step)) + bytes(100)
    # When it is read
    with open_table(put(tmp_path, packed), name, scratch=tmp_path) as table:
        assert list(tmp_path.glob("*/unpacked"))
        rows = cells(table)
    # Then all of it is there, and the unpacked copy is removed
    assert rows == [["1", "x\ny"]] * 1000
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_gzip_is_read_with_chunks_of_every_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n") + bytes(3)
    for chunk in range(1, len(packed) + 2):
        monkeypatch.setattr(gunzip, "CHUNK", chunk)
        assert read_table(packed, "a.csv.gz").rows() == [("1", "2"), ("3", "4")]
