"""Checking rows by the contract."""

import io
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.flights import flights
from penstock.contract.model import Column, Contract
from penstock.contract.row_check import REASONS, ROW, Checked, check
from penstock.readers.open_table import TableError, read_table

KEY = Column("id", "string", "key", required=True, unique=True)
TARGET = Column("won", "boolean", "target", required=True)


def contract_of(*columns: Column) -> Contract:
    return Contract("test", "1", (KEY, *columns, TARGET), 0.1, "digest")


def parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def check_cells(column: Column, *cells: str) -> Checked:
    """Check a CSV with one column besides key and target."""
    lines = [f'{index},"{cell}",true' for index, cell in enumerate(cells)]
    text = "\n".join([f"id,{column.name},won", *lines, ""])
    return check(contract_of(column), read_table(text.encode(), "a.csv"))


def feature(kind: Any, **about: Any) -> Column:
    return Column("x", kind, "feature", **about)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        (feature("number", required=True), "", "x: missing"),
        (feature("number", required=True), "  ", "x: missing"),
        (feature("string", required=True), "\t", "x: missing"),
        (feature("number"), "ten", "x: not a number"),
        (feature("integer"), "1.5", "x: not a whole number"),
        (feature("integer"), "9" * 30, "x: not a whole number"),
        (feature("boolean"), "maybe", "x: not true or false"),
        (feature("timestamp"), "yesterday", "x: not a timestamp (2013-01-31T08:00:00Z)"),
        (feature("date"), "2013-02-30", "x: not a date (2013-01-31)"),
        (feature("number"), "NaN", "x: not a finite number"),
        (feature("number"), "inf", "x: not a finite number"),
        (feature("number"), "-inf", "x: not a finite number"),
        (feature("number", minimum=0), "-0.5", "x: below 0"),
        (feature("number", maximum=5), "5.01", "x: above 5"),
        (feature("integer", minimum=3), "2", "x: below 3"),
        (feature("string", min_length=2), "a", "x: shorter than 2 characters"),
        (feature("string", max_length=2), "äöü", "x: longer than 2 characters"),
        (feature("string", pattern="[A-Z]{2}"), "ABC", "x: not of the form [A-Z]{2}"),
        (feature("string", pattern="a|b"), "ab", "x: not of the form a|b"),
        (feature("string", allowed=("red", "green")), "blue", "x: not one of red, green"),
        (feature("integer", allowed=(1, 2)), "3", "x: not one of 1, 2"),
        (feature("number", allowed=(1, 2)), "3", "x: not one of 1, 2"),
        (feature("number", allowed=(1.5, 2)), "3", "x: not one of 1.5, 2"),
    ],
)
def test_a_cell_that_breaks_a_rule_makes_its_row_bad(column: Column, cell: str, reason: str) -> None:
    # Given a table with one bad cell
    # When it is checked
    checked = check_cells(column, cell)
    # Then the row is refused with that one reason, and counted
    assert checked.good.height == 0
    assert checked.bad[REASONS].to_list() == [[reason]]
    assert checked.reasons == {reason: 1}


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        (feature("number"), "", None),
        (feature("number"), " 1.5 ", 1.5),
        (feature("number"), "1e3", 1000.0),
        (feature("number", minimum=0, maximum=0), "0", 0.0),
        (feature("integer"), "-7", -7),
        (feature("integer"), " 7 ", 7),
        (feature("integer"), "3.0", 3),
        (feature("string"), " as it is ", " as it is "),
        (feature("string", max_length=3), "äöü", "äöü"),
        (feature("string", pattern="a|b"), "b", "b"),
        (feature("number", allowed=(1, 2)), "2", 2.0),
        (feature("boolean"), "TRUE", True),
        (feature("boolean"), "no", False),
        (feature("boolean"), "0", False),
        (feature("timestamp"), "2013-01-31T08:00:00Z", datetime(2013, 1, 31, 8, tzinfo=UTC)),
        (feature("timestamp"), "2013-01-31T08:00:00+02:00", datetime(2013, 1, 31, 6, tzinfo=UTC)),
        (feature("timestamp"), "2013-01-31T08:00:00.5Z", datetime(2013, 1, 31, 8, 0, 0, 500_000, tzinfo=UTC)),
        (feature("date"), "2013-01-31", date(2013, 1, 31)),
    ],
)
def test_a_good_cell_gets_its_type(column: Column, cell: str, value: Any) -> None:
    checked = check_cells(column, cell)
    assert checked.bad.height == 0
    assert checked.good["x"].to_list() == [value]


def test_a_column_may_mix_formats_of_timestamps() -> None:
    # Given timestamps that are all ISO 8601, written in different ways
    cells = ["2013-01-31T08:00:00Z", "2013-01-31T08:00:00.5Z", "2013-01-31T08:00:00+02:00", "2013-01-31 08:00:00"]
    # When they are in one column
    checked = check_cells(feature("timestamp"), *cells)
    # Then each is good
    assert checked.reasons == {}


def test_a_bad_row_has_all_its_reasons_and_its_number() -> None:
    # Given the third of four rows breaks three rules
    contract = contract_of(feature("number", minimum=0), Column("y", "string", "feature", required=True))
    text = "id,x,y,won\na,1,p,true\nb,2,p,no\nc,-1,,perhaps\nd,3,p,1\n"
    # When it is checked
    checked = check(contract, read_table(text.encode(), "a.csv"))
    # Then it is returned unchanged, with its number and every reason
    assert checked.bad.to_dicts() == [
        {
            ROW: 3,
            "id": "c",
            "x": "-1",
            "y": None,
            "won": "perhaps",
            REASONS: ["x: below 0", "y: missing", "won: not true or false"],
        }
    ]
    assert checked.good["id"].to_list() == ["a", "b", "d"]
    assert checked.share == 0.25


def test_of_rows_with_one_key_the_first_is_good() -> None:
    text = "id,x,won\na,1,true\nb,2,true\na,3,true\n,4,true\n,5,true\n"
    checked = check(contract_of(feature("number")), read_table(text.encode(), "a.csv"))
    assert checked.good["x"].to_list() == [1.0, 2.0]
    assert checked.reasons == {"id: appears more than once": 1, "id: missing": 2}


def test_unknown_columns_are_listed_and_left_out() -> None:
    text = "won,surplus,x,id\ntrue,9,1,a\n"
    checked = check(contract_of(feature("number")), read_table(text.encode(), "a.csv"))
    assert checked.unknown == ("surplus",)
    assert checked.good.columns == ["id", "x", "won"]


@pytest.mark.parametrize("name", ["_row", "_reasons"])
def test_a_corrected_quarantine_file_can_be_uploaded_again(name: str) -> None:
    # Given a file with the columns that quarantine adds, one row still bad
    text = f"id,x,won,{name}\na,1,true,1\nb,ten,true,2\n"
    # When it is checked
    checked = check(contract_of(feature("number")), read_table(text.encode(), "a.csv"))
    # Then the column is an unknown one like any other
    assert checked.unknown == (name,)
    assert (checked.good.height, checked.bad.height) == (1, 1)


def test_an_optional_column_may_be_absent_and_an_ignored_one_is_dropped() -> None:
    contract = contract_of(feature("number"), Column("aside", "string", "ignore"))
    checked = check(contract, read_table(b"id,aside,won\na,q,true\n", "a.csv"))
    assert checked.good.to_dicts() == [{"id": "a", "x": None, "won": True}]
    assert checked.unknown == ()


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "a.csv", "the file is empty"),
        (b"id,x,won\n", "a.csv", "there are no rows"),
        (b"id,x\na,1\n", "a.csv", "the column 'won' is missing"),
        (b"x\n1\n", "a.csv", "the column 'id' is missing, and won"),
        (b"id,x,won\na,1,true\n", "a.parquet", "the content is plain text, not Parquet"),
        (b"id,x,won\na,1,true\n", "a.jsonl", "line 1 is no JSON object"),
        (parquet(pl.DataFrame({"id": ["a"]})), "a.csv", "the content is Parquet: name it .parquet"),
        ("id,x,won\né,1,true\n".encode("latin-1"), "a.csv", "line 2 is not UTF-8 at byte 9"),
        (b"id,x,won\na,1,true,surplus\n", "a.csv", "line 2 has 4 cells, the header has 3"),
        (b"[1, 2]", "a.jsonl", "line 1 is an array, and not an object"),
        (b"PK", "folder/a.xlsx", "'a.xlsx' does not end in .csv, .csv.gz"),
    ],
)
def test_an_unreadable_file_is_refused_as_a_whole(data: bytes, name: str, words: str) -> None:
    with pytest.raises(TableError) as caught:
        check(contract_of(feature("number")), read_table(data, name))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_extension_may_be_in_capitals() -> None:
    assert read_table(b"id,x,won\na,1,true\n", "FLIGHTS.CSV").height == 1


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (feature("number"), [[1.0]]),
        (feature("number"), [{"k": 1.0}]),
        (feature("integer", minimum=0), [{"k": 1}]),
        (feature("string"), [{"k": "v"}]),
        (feature("string"), [["v"]]),
        (feature("string"), [b"\xff"]),
        (feature("integer"), [b"\xff"]),
        (feature("integer"), [time(1)]),
        (feature("number"), [timedelta(1)]),
        (feature("boolean"), [7]),
        (feature("integer"), [1.5]),
        (feature("integer"), [float("nan")]),
        (feature("timestamp"), [["x"]]),
    ],
)
def test_values_of_a_type_that_does_not_fit_are_bad(column: Column, values: list[Any]) -> None:
    # Given a Parquet file with a column whose type cannot be cast to the contract's
    table = pl.DataFrame({"id": ["a"], "x": values, "won": [True]})
    # When it is checked
    checked = check(contract_of(column), read_table(parquet(table), "a.parquet"))
    # Then its rows are bad, without a guess or a crash
    assert checked.good.height == 0
    assert len(checked.reasons) == 1


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (feature("integer"), [3.0], 3),
        (feature("number"), [3], 3.0),
        (feature("string"), [5], "5"),
        (feature("boolean"), [1], True),
        (feature("timestamp"), [datetime(2020, 1, 1, tzinfo=UTC)], datetime(2020, 1, 1, tzinfo=UTC)),
    ],
)
def test_values_of_another_type_that_mean_the_same_are_good(column: Column, values: list[Any], expected: Any) -> None:
    table = pl.DataFrame({"id": ["a"], "x": values, "won": [True]})
    checked = check(contract_of(column), read_table(parquet(table), "a.parquet"))
    assert checked.good["x"].to_list() == [expected]


def test_the_three_formats_give_the_same_rows() -> None:
    # Given the same table in CSV, JSON Lines and Parquet
    table = pl.DataFrame({"id": ["a", "b"], "x": [1.5, None], "won": [True, False]})
    files = {
        "a.csv": table.write_csv().encode(),
        "a.jsonl": table.write_ndjson().encode(),
        "a.parquet": parquet(table),
    }
    # When each is checked
    goods = [check(contract_of(feature("number")), read_table(data, name)).good for name, data in files.items()]
    # Then they are the same
    assert goods[0].equals(goods[1])
    assert goods[0].equals(goods[2])


def test_real_flights_pass_their_contract(contract: Contract) -> None:
    table = flights([1]).head(2000)
    checked = check(contract, read_table(table.write_csv().encode(), "flights.csv"))
    assert checked.bad.height == 0, checked.reasons
    assert checked.good.height == 2000
    assert checked.good["late"].to_list() == table["late"].to_list()


CELLS = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["1", "-1", "nan", "true", "2013-01-31", "AB"]))
KINDS = contract_of(
    feature("number", minimum=0),
    Column("i", "integer", "feature", required=True, maximum=10),
    Column("s", "string", "feature", pattern="[A-Z]{2}", min_length=1),
    Column("t", "timestamp", "event_time"),
    Column("d", "date", "ignore"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[CELLS] * 7), min_size=1, max_size=8))
def test_each_row_is_either_good_or_bad_with_a_reason(rows: list[tuple[Any, ...]]) -> None:
    # Given any table of text
    names = [column.name for column in KINDS.columns]
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    # When it is checked
    checked = check(KINDS, table)
    # Then good and bad rows are all rows, each bad one has a reason, and the counts match the reasons
    assert checked.good.height + checked.bad.height == len(rows)
    assert all(checked.bad[REASONS].list.len() > 0)
    assert sum(checked.reasons.values()) == int(checked.bad[REASONS].list.len().sum() or 0)
    assert checked.good["id"].is_duplicated().sum() == 0
    assert checked.good["x"].drop_nulls().is_finite().all()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a.txt"]))
def test_any_bytes_are_a_table_or_refused(data: bytes, name: str) -> None:
    try:
        table = read_table(data, name)
    except TableError:
        return
    assert isinstance(table, pl.DataFrame)
