"""Good CSV files are read cell by cell, whatever wrote them and wherever a block ends."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.readers.csv_table import CsvTable
from penstock.readers.open_table import read_table
from penstock.readers.text_faults import line_of
from tests.unit.readers.table_files import BOM, TEXT, attempt, cells, put, quick

ENDS = ("\n", "\r\n", "\r")
NAMES = st.lists(st.text('abcdé ,"\n', max_size=4), min_size=1, max_size=4, unique=True).filter(
    lambda names: names[0].strip() != "" and names[0][0] not in "{["
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    row = st.lists(TEXT, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, max_size=12))


def as_csv(names: Sequence[str], rows: Sequence[Sequence[str]], ends: Sequence[str], quoting: int) -> bytes:
    text = io.StringIO(newline="")
    for row, end in zip([names, *rows], ends, strict=False):
        # Python's csv leaves a line end of the other kind without quotes.
        has_line_end = any(sign in cell for cell in row for sign in "\r\n")
        writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL if has_line_end else quoting)  # type: ignore[arg-type]
        writer.writerow(row)
    return text.getvalue().encode()


@quick
@given(
    tables(),
    st.lists(st.sampled_from(ENDS), min_size=13, max_size=13),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.booleans(),
    st.integers(64, 300),
)
def test_a_csv_of_any_writer_is_read_unchanged(
    tmp_path: Path,
    table: tuple[list[str], list[list[str]]],
    ends: list[str],
    quoting: int,
    marked: bool,
    stripped: bool,
    size: int,
) -> None:
    # Given a table as Python writes it, with any line ends, with or without a byte order mark or a last line end
    names, rows = table
    data = as_csv(names, rows, ends, quoting)
    if stripped and quoting == csv.QUOTE_ALL:
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    path = put(tmp_path, BOM + data if marked else data)
    # When it is read in small blocks and in large ones
    whole, small = CsvTable(path), attempt(lambda: cells(CsvTable(path, size)))
    # Then each cell is there, unless a row is larger than a small block and is refused
    assert list(whole.names) == names
    assert cells(whole) == rows
    assert small == rows or "more than a row may have" in small
    assert cells(whole, names[::-1]) == [row[::-1] for row in rows]


@settings(quick, max_examples=400)
@given(st.text('",\n\rab ', max_size=25), st.integers(8, 40))
def test_any_accepted_csv_is_read_as_by_the_standard_library(tmp_path: Path, text: str, size: int) -> None:
    # Given a header and any text of quotes, commas and line ends
    path = put(tmp_path, b"n,m\n" + text.encode())
    # When it is read
    whole, small = attempt(lambda: cells(CsvTable(path))), attempt(lambda: cells(CsvTable(path, size)))
    if isinstance(whole, str):
        assert isinstance(small, str)
        return
    # Then it has the same rows, and smaller blocks change nothing
    assert whole == [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    assert small == whole or "more than a row may have" in small


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("quoted", [True, False])
def test_a_block_may_end_anywhere_in_a_line_end(tmp_path: Path, end: str, quoted: bool) -> None:
    # Given rows with line ends in cells, or empty lines between them
    row = f'1,"a{end}b"{end}2,""""{end}' if quoted else f"1,x{end}{end}2,y{end}{end}{end}"
    path = put(tmp_path, f"n,t{end}{row * 20}".encode())
    expected = [["1", f"a{end}b"], ["2", '"']] * 20 if quoted else [["1", "x"], ["2", "y"]] * 20
    # When blocks of every size are read, so that they end at every byte
    for size in range(24, 80):
        # Then no row is cut
        assert cells(CsvTable(path, size)) == expected, size


def test_one_column_may_have_no_name() -> None:
    assert read_table(b",x\n0,1\n1,2\n", "a.csv").to_dict(as_series=False) == {"": ["0", "1"], "x": ["1", "2"]}


def test_a_file_without_rows_is_an_empty_table() -> None:
    for data in (b"a,b", b"a,b\n", b"a,b\r\n\r\n", BOM + b"a,b\r"):
        frame = read_table(data, "a.csv")
        assert (frame.columns, frame.height) == (["a", "b"], 0)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_of_counts_any_line_end(end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, end.join([b"abc", b"", b"de", b"f"]))
    for chunk in (1, 2, 3, 100):
        monkeypatch.setattr("penstock.readers.text_faults.CHUNK", chunk)
        data = path.read_bytes()
        assert [line_of(path, data.index(sign)) for sign in (b"a", b"c", b"d", b"f")] == [1, 1, 3, 4]
