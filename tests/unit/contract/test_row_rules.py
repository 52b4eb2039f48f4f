"""The standard's quality rules: read, held against rows and files, and refused where they would not be checked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.contract.file_check import refusal
from penstock.contract.model import Bounds, Column, Contract, ContractError, RowRule
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import REASONS, Check, Tally, check
from penstock.contract.row_rules import conditions
from tests.unit.contract.test_odcs import KEY, TARGET, column, document, role

Write = Callable[[str, str], Path]
MOMENT = column("at", "timestamp", **role("event_time"))


def read(folder: Write, *columns: dict[str, Any], quality: Any = None, **about: Any) -> Contract:
    text = document(KEY, TARGET, *columns, **about)
    if quality is not None:
        import yaml

        whole = yaml.safe_load(text)
        whole["schema"][0]["quality"] = quality
        text = yaml.safe_dump(whole)
    return read_contract(folder("", text))


def made(*columns: Column, **about: Any) -> Contract:
    key, target = Column("id", "string", "key", required=True, unique=True), Column("won", "boolean", "target")
    return Contract("test", "1", (key, *columns, target), about.pop("tolerance", 0.5), "digest", **about)


def table(**cells: Any) -> pl.DataFrame:
    rows = len(next(iter(cells.values())))
    return pl.DataFrame({"id": [f"r{i}" for i in range(rows)], "won": ["true"] * rows, **cells})


def tallied(contract: Contract, rows: pl.DataFrame) -> Tally:
    one = Check(contract, rows.columns)
    one.batch(rows)
    return one.tally


# Read


def test_the_rules_of_a_column(model_folder: Write) -> None:
    rules = [
        {"metric": "invalidValues", "arguments": {"validValues": ["a", "b"]}, "mustBe": 0},
        {"metric": "nullValues", "mustBeLessOrEqualTo": 5, "unit": "percent"},
        {"metric": "duplicateValues", "mustBe": 0},
        {"type": "text", "description": "as the pilot says it"},
        {"type": "sql", "query": "SELECT COUNT(*) FROM {object} WHERE {property} = 'b' AND won", "mustBe": 0},
    ]
    contract = read(
        model_folder, column("x", quality=rules, customProperties=[{"property": "tolerance", "value": 0.1}])
    )
    x = contract.columns[2]
    assert (x.allowed, x.nulls, x.nulls_in, x.unique) == (("a", "b"), Bounds(most=5), "percent", True)
    assert x.tolerance == 0.1
    assert contract.rules == (RowRule("\"x\" = 'b' AND won", "x: must not be: \"x\" = 'b' AND won"),)


def test_the_rules_of_all_rows(model_folder: Write) -> None:
    quality = [
        {"metric": "rowCount", "mustBeBetween": [10, 2000]},
        {"metric": "duplicateValues", "arguments": {"properties": ["x", "y"]}, "mustBe": 0},
        {
            "type": "sql",
            "query": "select count(*) from rows where x > y;",
            "mustBe": 0,
            "description": "leaves before it arrives",
        },
    ]
    contract = read(model_folder, column("x", "number"), column("y", "number"), quality=quality)
    assert contract.row_count == Bounds(10, 2000)
    assert contract.together == (("x", "y"),)
    assert contract.unique == [("id",), ("x", "y")]
    assert contract.rules == (RowRule("x > y", "leaves before it arrives"),)


@pytest.mark.parametrize(
    ("value", "unit", "seconds"), [(4, "d", 345600), (1.5, "hours", 5400), (30, "min", 1800), (2, "days", 172800)]
)
def test_latency_is_the_age_of_the_newest_row(model_folder: Write, value: float, unit: str, seconds: float) -> None:
    level = {"property": "latency", "value": value, "unit": unit, "element": "rows.at"}
    other = {"property": "retention", "value": 3, "unit": "y"}
    contract = read(model_folder, column("x", "number"), MOMENT, slaProperties=[level, other])
    assert contract.max_age == seconds


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ({"property": "latency", "value": 4, "unit": "fortnights"}, "the unit 'fortnights' is not one of"),
        ({"property": "latency", "value": "4", "unit": "d"}, "'4' is no number of d above 0"),
        ({"property": "latency", "value": 0, "unit": "d"}, "above 0"),
        ({"property": "latency", "value": 4, "unit": "d", "element": "rows.x"}, "'at', not 'rows.x'"),
    ],
)
def test_a_latency_that_cannot_be_held(model_folder: Write, level: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        read(model_folder, column("x", "number"), MOMENT, slaProperties=[level])


def test_a_latency_without_an_event_time(model_folder: Write) -> None:
    with pytest.raises(ContractError, match="role event_time, and there is none"):
        read(model_folder, column("x", "number"), slaProperties=[{"property": "latency", "value": 4, "unit": "d"}])


COUNT = "SELECT COUNT(*) FROM rows WHERE x > 3"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"metric": "missingValues", "mustBe": 0}, "'missingValues' as it stands cannot be checked here"),
        ({"type": "custom", "engine": "soda", "implementation": "x"}, "'custom' as it stands cannot"),
        ({"metric": "nullValues"}, "'nullValues' needs one of mustBe"),
        ({"metric": "nullValues", "mustNotBe": 3}, "'nullValues' needs one of mustBe"),
        ({"metric": "nullValues", "mustBeBetween": [1]}, "mustBeBetween: list should have at least 2 items"),
        ({"metric": "nullValues", "mustBe": "few"}, "'few' is no number"),
        ({"metric": "nullValues", "mustBe": 0, "unit": "bytes"}, "'bytes' is neither rows nor percent"),
        ({"metric": "duplicateValues", "mustBeLessThan": 4}, "'duplicateValues' as it stands"),
        ({"type": "sql", "query": "SELECT AVG(x) FROM rows", "mustBe": 0}, "write SELECT COUNT"),
        ({"type": "sql", "query": COUNT, "mustBeLessThan": 9}, "write SELECT COUNT"),
        ({"type": "sql", "mustBe": 0}, "the query None cannot be held against rows"),
    ],
)
def test_a_rule_that_would_not_be_checked_is_refused(model_folder: Write, rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        read(model_folder, column("x", "number", quality=[rule]))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"metric": "rowCount", "mustBe": 5, "unit": "percent"}, "'rowCount' as it stands"),
        ({"metric": "duplicateValues", "arguments": {"properties": ["nil"]}, "mustBe": 0}, "no column 'nil'"),
        ({"metric": "nullValues", "mustBe": 0}, "'nullValues' as it stands cannot be checked here; the rules of all"),
        ({"type": "sql", "query": "SELECT COUNT(*) FROM other WHERE x > 3", "mustBe": 0}, "asks 'other', the rows"),
    ],
)
def test_a_rule_of_all_rows_that_would_not_be_checked(model_folder: Write, rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        read(model_folder, column("x", "number"), quality=[rule])


@pytest.mark.parametrize("tolerance", [1, True, "much"])
def test_a_tolerance_of_a_column_is_a_share(model_folder: Write, tolerance: Any) -> None:
    with pytest.raises(ContractError, match="column 'x': customProperties: tolerance is a share"):
        read(model_folder, column("x", customProperties=[{"property": "tolerance", "value": tolerance}]))


def test_what_decides_is_the_same_under_another_description(model_folder: Write) -> None:
    plain = read(model_folder, column("x", "number"))
    told = read(model_folder, column("x", "number", description="Miles."))
    other = read(model_folder, column("x", "number", logicalTypeOptions={"minimum": 1}))
    assert plain.digest != told.digest
    assert plain.rulings == told.rulings != other.rulings


# Held against rows


def test_a_condition_over_several_columns_names_the_rows_that_break_it() -> None:
    numbers = [Column(name, "number", "feature") for name in ("x", "y")]
    contract = made(*numbers, rules=(RowRule("x > y AND won", "x is above y"),))
    checked = check(contract, table(x=["1", "5", "", "7"], y=["2", "2", "2", "7"]))
    assert checked.bad["id"].to_list() == ["r1"]
    assert checked.bad[REASONS].to_list() == [["x is above y"]]
    assert checked.reasons == {"x is above y": 1}


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("x >", "cannot be asked of a row"),
        ("nil > 3", "cannot be asked of a row: .*nil"),
        ("x + 1", "neither true nor false"),
    ],
)
def test_a_condition_that_is_none(condition: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        conditions(made(Column("x", "number", "feature"), rules=(RowRule(condition, "s"),)))


def test_values_that_are_unique_together() -> None:
    pair = [Column(name, "string", "feature") for name in ("x", "y")]
    checked = check(made(*pair, together=(("x", "y"),)), table(x=["a", "a", "a", ""], y=["1", "2", "1", "1"]))
    assert checked.bad["id"].to_list() == ["r2"]
    assert checked.reasons == {"x and y: appear together more than once": 1}


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30)


@given(NAMES, st.lists(st.integers(1, 7), min_size=1, max_size=8))
def test_what_repeats_is_found_over_any_batches(names: list[str], sizes: list[int]) -> None:
    # Given a file whose keys repeat, in batches of any size
    rows = pl.DataFrame({"id": names, "won": ["true"] * len(names), "x": ["1"] * len(names)})
    contract = made(Column("x", "number", "feature"))
    batches: list[pl.DataFrame] = []
    start = 0
    while start < len(names):
        batches.append(rows.slice(start, sizes[len(batches) % len(sizes)]))
        start += batches[-1].height
    # When they are checked, a second time where that is asked for
    one = Check(contract, rows.columns)
    results = [one.batch(batch) for batch in batches]
    if repeated := one.repeated():
        one = Check(contract, rows.columns, repeated)
        results = [one.batch(batch) for batch in batches]
        assert one.repeated() is None
    # Then the first of each is good, every other bad, and rows are numbered through
    assert [name for result in results for name in result.good["id"]] == list(dict.fromkeys(names))
    bad = [place for result in results for place in result.bad["_row"]]
    assert bad == [place + 1 for place, name in enumerate(names) if name in names[:place]]
    assert one.tally.rows == len(names)


# Held against a file


def test_a_share_of_missing_values() -> None:
    contract = made(Column("x", "number", "feature", nulls=Bounds(most=25), nulls_in="percent"))
    assert refusal(contract, tallied(contract, table(x=["1", "", "3", "4"]))) is None
    said = refusal(contract, tallied(contract, table(x=["1", "", " ", "4"])))
    assert said == "x is missing in 2 of 4 rows (50.0%), the contract says at most 25%"


def test_a_number_of_missing_values() -> None:
    contract = made(Column("x", "number", "feature", nulls=Bounds(below=1)))
    said = refusal(contract, tallied(contract, table(x=["1", ""])))
    assert said == "x is missing in 1 of 2 rows (50.0%), the contract says less than 1 rows"


def test_a_column_may_be_wrong_less_often_than_rows_may() -> None:
    columns = [Column("x", "number", "feature", minimum=0, tolerance=0.25), Column("y", "number", "feature")]
    contract = made(*columns)
    assert refusal(contract, tallied(contract, table(x=["-1", "2", "3", "4"], y=["1", "y", "1", "1"]))) is None
    said = refusal(contract, tallied(contract, table(x=["-1", "x", "3", "4"], y=["1", "1", "1", "1"])))
    assert said == "x is wrong in 2 of 4 rows (50.0%), the contract tolerates 25.0% of that column"


def test_how_many_rows_there_are() -> None:
    contract = made(Column("x", "number", "feature"), row_count=Bounds(least=3, most=1000))
    assert refusal(contract, tallied(contract, table(x=["1", "2", "3"]))) is None
    said = refusal(contract, tallied(contract, table(x=["1", "2"])))
    assert said == "there are 2 rows, the contract says at least 3 and at most 1,000"


def test_how_old_the_newest_row_is() -> None:
    contract = made(Column("at", "timestamp", "event_time"), max_age=86400.0)
    uploaded = datetime(2026, 1, 3, tzinfo=UTC)
    fresh = tallied(contract, table(at=["2026-01-02T00:00:00Z", "2025-01-01T00:00:00Z"]))
    assert refusal(contract, fresh, uploaded) is None
    assert refusal(contract, fresh, uploaded + timedelta(seconds=1)) == (
        "the newest row is of 2026-01-02T00:00:00+00:00, 24 hours before the upload; the contract says at most 24 hours"
    )
    none = replace(fresh, newest=None)
    assert "no row has an event time" in str(refusal(contract, none, uploaded))


def test_all_that_is_wrong_with_a_file_is_said() -> None:
    contract = made(Column("x", "number", "feature", nulls=Bounds(most=0)), row_count=Bounds(least=9), tolerance=0.0)
    said = str(refusal(contract, tallied(contract, table(x=["", "x", "1"]))))
    assert said.split("; ") == [
        "1 of 3 rows are bad (33.3%), the contract tolerates 0.0% (1 × x: not a number)",
        "x is missing in 1 of 3 rows (33.3%), the contract says at most 0 rows",
        "there are 3 rows, the contract says at least 9",
    ]


@pytest.mark.parametrize(
    ("bounds", "good", "bad"),
    [
        (Bounds(least=2), [2, 3], [1]),
        (Bounds(most=2), [2, 1], [3]),
        (Bounds(above=2), [3], [2]),
        (Bounds(below=2), [1], [2]),
        (Bounds(2, 4), [2, 4], [1, 5]),
    ],
)
def test_bounds(bounds: Bounds, good: list[int], bad: list[int]) -> None:
    assert all(map(bounds.hold, good))
    assert not any(map(bounds.hold, bad))
