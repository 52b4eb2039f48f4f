"""JSON Lines are read as text, whatever wrote them and wherever a block ends."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.readers.jsonl_table import JsonTable
from penstock.readers.open_table import open_table, read_table
from tests.unit.readers.table_files import BOM, TEXT, attempt, put, quick

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT, st.text(max_size=3)
)
OBJECTS = st.dictionaries(st.text(max_size=3), st.one_of(VALUES, st.lists(VALUES, max_size=2)), min_size=1, max_size=4)


def cell(value: object) -> str | None:
    """Return a JSON value as a cell."""
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
def test_json_lines_are_read_as_text(
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
        # Then each value is there, a number with its literal, and arrays are marked
        assert list(table.names) == list(dict.fromkeys(key for row in rows for key in row))
        for name in table.names:
            texts = [
                "\x00" if isinstance(row.get(name), list) else text for row, text in zip(rows, frame[name], strict=True)
            ]
            assert texts == [cell(row.get(name)) for row in rows]
            assert all(frame[name][i][0] == "\x00" for i, row in enumerate(rows) if isinstance(row.get(name), list))


def test_a_column_may_first_appear_on_the_last_line(tmp_path: Path) -> None:
    # Given 100,000 lines and a key on the last one only
    data = b'{"a":1}\n' * 99_999 + b'{"b":2}'
    with open_table(put(tmp_path, data), "late.jsonl", scratch=tmp_path) as table:
        frame = pl.concat(list(table.batches()))
        again = pl.concat(list(table.batches(["b"])))
    # Then it is in every row, and the file can be read twice
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
def test_nested_arrays_are_marked_or_refused(deep: int, blank: str) -> None:
    data = f'{{"x"{blank}:{"[" * deep}{"]" * deep}}}'
    result = attempt(lambda: read_table(data.encode(), "a.jsonl"))
    # Python decides how deep is too deep
    assert deep > 500 or isinstance(result, pl.DataFrame)
    assert result["x"].to_list() == ["\x00"] if isinstance(result, pl.DataFrame) else "within each other" in result
