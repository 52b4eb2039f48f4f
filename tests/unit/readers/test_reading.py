"""Good files are read cell by cell, whatever wrote them and wherever a block ends."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.readers import gunzip as reading_gzip
from penstock.readers.csv_table import CsvTable
from penstock.readers.jsonl_table import JsonTable
from penstock.readers.open_table import BATCH, ENDINGS, TableError, open_table, read_table, readable
from penstock.readers.table import CELLS, Table
from penstock.readers.text_faults import line_of

T = TypeVar("T")
BOM = b"\xef\xbb\xbf"
ENDS = ("\n", "\r\n", "\r")
TEXT = st.text(
    st.one_of(st.sampled_from(',"\n\r;\t \ufeffaé€😀'), st.characters(exclude_characters="\x00", codec="utf-8")),
    max_size=5,
)
NAMES = st.lists(st.text('abcdé ,"\n', max_size=4), min_size=1, max_size=4, unique=True).filter(
    lambda names: names[0].strip() != "" and names[0][0] not in "{["
)
quick = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    cells = st.lists(TEXT, min_size=len(names), max_size=len(names))
    return names, draw(st.lists(cells, max_size=12))


def cells(table: Table, columns: Sequence[str] | None = None) -> list[list[str]]:
    """The rows; a CSV says the same for null and for no text."""
    return [["" if cell is None else cell for cell in row] for batch in table.batches(columns) for row in batch.rows()]


def as_csv(names: Sequence[str], rows: Sequence[Sequence[str]], ends: Sequence[str], quoting: int) -> bytes:
    text = io.StringIO(newline="")
    for row, end in zip([names, *rows], ends, strict=False):
        # Python's csv leaves a line end of the other kind without quotes.
        hard = any(sign in cell for cell in row for sign in "\r\n")
        csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL if hard else quoting).writerow(row)  # type: ignore[arg-type]
    return text.getvalue().encode()


def attempt(read: Callable[[], T]) -> T | str:
    """What is read, or the sentence that refuses it."""
    try:
        return read()
    except TableError as error:
        return str(error)


def put(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@quick
@given(
    tables(),
    st.lists(st.sampled_from(ENDS), min_size=13, max_size=13),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.booleans(),
    st.integers(64, 300),
)
def test_a_csv_of_any_writer_comes_back(
    tmp_path: Path,
    table: tuple[list[str], list[list[str]]],
    ends: list[str],
    quoting: int,
    marked: bool,
    stripped: bool,
    size: int,
) -> None:
    # Given a table as Python writes it, lines ended in any way, with or without a mark, its last line ended or not
    names, rows = table
    data = as_csv(names, rows, ends, quoting)
    if stripped and quoting == csv.QUOTE_ALL:
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    path = put(tmp_path, BOM + data if marked else data)
    # When it is read in small blocks and in large ones
    whole, small = CsvTable(path), attempt(lambda: cells(CsvTable(path, size)))
    # Then each cell is there; only a row may be larger than such a block, which is said
    assert list(whole.names) == names
    assert cells(whole) == rows
    assert small == rows or "more than a row may have" in small
    assert cells(whole, names[::-1]) == [row[::-1] for row in rows]


@settings(quick, max_examples=400)
@given(st.text('",\n\rab ', max_size=25), st.integers(8, 40))
def test_what_is_taken_is_what_pythons_reader_sees(tmp_path: Path, text: str, size: int) -> None:
    # Given a header and anything at all made of quotes, commas and line ends
    path = put(tmp_path, b"n,m\n" + text.encode())
    # When it is read
    found, small = attempt(lambda: cells(CsvTable(path))), attempt(lambda: cells(CsvTable(path, size)))
    if isinstance(found, str):
        assert isinstance(small, str)
        return
    # Then what is taken is what another reader sees, and smaller blocks change nothing
    assert found == [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    assert small == found or "more than a row may have" in small


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("quoted", [True, False])
def test_a_line_end_at_every_border_of_a_block(tmp_path: Path, end: str, quoted: bool) -> None:
    # Given rows with line ends in cells, or empty lines between them
    row = f'1,"a{end}b"{end}2,""""{end}' if quoted else f"1,x{end}{end}2,y{end}{end}{end}"
    path = put(tmp_path, f"n,t{end}{row * 20}".encode())
    expected = [["1", f"a{end}b"], ["2", '"']] * 20 if quoted else [["1", "x"], ["2", "y"]] * 20
    # When blocks end at every byte of them
    for size in range(24, 80):
        # Then nothing is cut
        assert cells(CsvTable(path, size)) == expected, size


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT, st.text(max_size=3)
)
OBJECTS = st.dictionaries(st.text(max_size=3), st.one_of(VALUES, st.lists(VALUES, max_size=2)), min_size=1, max_size=4)


def told(value: object) -> str | None:
    """A JSON value as a cell."""
    if value is None or isinstance(value, str):
        return value
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "\x00" if isinstance(value, list) else text


@settings(quick, max_examples=60)
@given(
    st.lists(OBJECTS, min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\n"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    st.integers(200, 900),
)
def test_json_lines_come_back_as_text(
    tmp_path: Path,
    rows: list[dict[str, object]],
    end: str,
    marked: bool,
    plain: bool,
    separators: tuple[str, str],
    size: int,
) -> None:
    # Given objects with different keys and values of mixed types, as Python writes them
    lines = [json.dumps(row, separators=separators, ensure_ascii=plain) for row in rows]
    data = end.join(lines).encode("utf-8", "surrogatepass")
    path = put(tmp_path, BOM + data if marked else data)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    # When they are read in one block and in several
    whole, small = JsonTable(path, folders[0]), attempt(lambda: JsonTable(path, folders[1], size))
    assert isinstance(small, JsonTable) or "is longer than" in small
    for table in (whole, small):
        if isinstance(table, str):
            continue
        frame = pl.concat(list(table.batches()))
        # Then each value is there, a number as it was written, and what is no cell is marked
        assert list(table.names) == list(dict.fromkeys(key for row in rows for key in row))
        for name in table.names:
            found = [
                "\x00" if isinstance(row.get(name), list) else text for row, text in zip(rows, frame[name], strict=True)
            ]
            assert found == [told(row.get(name)) for row in rows]
            assert all(frame[name][i][0] == "\x00" for i, row in enumerate(rows) if isinstance(row.get(name), list))


def test_a_column_that_appears_late_is_a_column(tmp_path: Path) -> None:
    # Given 100,000 lines and a key on the last one only
    data = b'{"a":1}\n' * 99_999 + b'{"b":2}'
    with open_table(put(tmp_path, data), "late.jsonl", scratch=tmp_path) as table:
        frame = pl.concat(list(table.batches()))
        again = pl.concat(list(table.batches(["b"])))
    # Then it is in every row, and the file can be gone through twice
    assert frame.columns == ["a", "b"]
    assert (frame["a"].null_count(), frame["b"].null_count()) == (1, 99_999)
    assert again.columns == ["b"]
    assert again["b"].equals(frame["b"])


def test_a_number_keeps_its_literal() -> None:
    literals = ["1.10", "1e5", "-0.0", "12345678901234567890123456", "9007199254740993", "1E400"]
    data = "\n".join(f'{{"x":{literal}}}' for literal in literals)
    assert read_table(data.encode(), "a.jsonl")["x"].to_list() == literals


@pytest.mark.parametrize("deep", [10, 300, 900, 990, 1000, 3000])
@pytest.mark.parametrize("blank", ["", " "])
def test_arrays_within_each_other_are_a_cell_that_is_none_or_refused(deep: int, blank: str) -> None:
    data = f'{{"x"{blank}:{"[" * deep}{"]" * deep}}}'
    found = attempt(lambda: read_table(data.encode(), "a.jsonl"))
    # How deep is too deep is Python's to say
    assert deep > 500 or isinstance(found, pl.DataFrame)
    assert found["x"].to_list() == ["\x00"] if isinstance(found, pl.DataFrame) else "within each other" in found


@pytest.mark.parametrize("name", ["a.csv.gz", "A.CSV.GZ", "folder.d/a.Csv.gz"])
@pytest.mark.parametrize("members", [1, 2, 5])
def test_gzip_of_several_members(name: str, members: int, tmp_path: Path) -> None:
    # Given a CSV compressed in pieces that end anywhere, padded as tapes do it
    data = b"a,b\n" + b'1,"x\ny"\n' * 1000
    step = len(data) // members + 1
    packed = b"".join(gzip.compress(data[i : i + step]) for i in range(0, len(data), step)) + bytes(100)
    # When it is read
    with open_table(put(tmp_path, packed), name, scratch=tmp_path) as table:
        assert list(tmp_path.glob("*/unpacked"))
        found = cells(table)
    # Then all of it is there, and the copy is gone
    assert found == [["1", "x\ny"]] * 1000
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_gzip_is_taken_at_every_border_of_a_chunk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n") * 1 + gzip.compress(b"3,4\n") + bytes(3)
    for chunk in range(1, len(packed) + 2):
        monkeypatch.setattr(reading_gzip, "CHUNK", chunk)
        assert read_table(packed, "a.csv.gz").rows() == [("1", "2"), ("3", "4")]


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
            # Then no batch is larger than it may be, and all rows are there
            assert sum(heights) == frame.height
            assert max(heights) <= min(BATCH, CELLS // frame.width)


def test_the_endings(tmp_path: Path) -> None:
    assert all(readable(f"a/b{ending.upper()}") for ending in ENDINGS)
    assert not any(readable(name) for name in ("a", "a.txt", "csv", "a.csv.zip", "a.csv.bz2", "a.parquet.gz", "a.gz"))
    with (
        pytest.raises(TableError, match=r"'a.txt' does not end in .csv, .csv.gz, .*or .parquet"),
        open_table(put(tmp_path, b"a\n1\n"), "x/a.txt", scratch=tmp_path),
    ):
        pass


def test_an_index_column_without_a_name_is_taken() -> None:
    assert read_table(b",x\n0,1\n1,2\n", "a.csv").to_dict(as_series=False) == {"": ["0", "1"], "x": ["1", "2"]}


def test_zero_rows_are_the_checks_business() -> None:
    for data in (b"a,b", b"a,b\n", b"a,b\r\n\r\n", BOM + b"a,b\r"):
        frame = read_table(data, "a.csv")
        assert (frame.columns, frame.height) == (["a", "b"], 0)


def test_a_panic_is_a_sentence_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given a file in which every byte behind the first kilobyte of pages is another, so that some reader panics
    FRAME.write_parquet(tmp_path / "good", compression="uncompressed")
    good = (tmp_path / "good").read_bytes()
    refused = 0
    for at in range(100, 2100, 40):
        path = put(tmp_path, good[:at] + bytes(255 - byte for byte in good[at : at + 8]) + good[at + 8 :])
        refused += isinstance(attempt(partial(read_table, path.read_bytes(), "a.parquet")), str)
    # Then it ends in a sentence, and nobody sees more than that
    assert refused
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_line_of_a_byte(end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, end.join([b"abc", b"", b"de", b"f"]))
    for chunk in (1, 2, 3, 100):
        monkeypatch.setattr("penstock.readers.text_faults.CHUNK", chunk)
        data = path.read_bytes()
        assert [line_of(path, data.index(sign)) for sign in (b"a", b"c", b"d", b"f")] == [1, 1, 3, 4]


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from(ENDINGS))
def test_any_bytes_are_a_table_or_refused(data: bytes, name: str) -> None:
    found = attempt(lambda: read_table(data, f"a{name}"))
    assert isinstance(found, pl.DataFrame) or "\n" not in found
