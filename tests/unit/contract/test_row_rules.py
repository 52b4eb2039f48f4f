"""The standard's quality rules: read, applied to rows and files, and refused where they cannot be checked."""

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
from penstock.contract.row_check import REASONS, RowCheck, Tally, check
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


def contract_of(*columns: Column, **about: Any) -> Contract:
    key, target = Column("id", "string", "key", required=True, unique=True), Column("won", "boolean", "target")
    return Contract("test", "1", (key, *columns, target), about.pop("tolerance", 0.5), "digest", **about)


def table(**cells: Any) -> pl.DataFrame:
    rows = len(next(iter(cells.values())))
    return pl.DataFrame({"id": [f"r{i}" for i in range(rows)], "won": ["true"] * rows, **cells})


def tally_of(contract: Contract, rows: pl.DataFrame) -> Tally:
    row_check = RowCheck(contract, rows.columns)
    row_check.check(rows)
    return row_check.tally


# Reading


def test_the_rules_of_a_column_are_read(model_folder: Write) -> None:
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


def test_the_rules_of_all_rows_are_read(model_folder: Write) -> None:
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
def test_latency_is_the_maximum_age_of_the_newest_row(
    model_folder: Write, value: float, unit: str, seconds: float
) -> None:
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
def test_a_latency_that_cannot_be_checked_is_refused(model_folder: Write, level: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        read(model_folder, column("x", "number"), MOMENT, slaProperties=[level])


def test_a_latency_without_an_event_time_is_refused(model_folder: Write) -> None:
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
        ({"type": "sql", "mustBe": 0}, "the query None cannot be checked on rows"),
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
        ({"type": "sql", "query": "SELECT COUNT(*) FROM other WHERE x > 3", "mustBe": 0}, "reads 'other', the table"),
    ],
)
def test_a_rule_of_all_rows_that_would_not_be_checked_is_refused(
    model_folder: Write, rule: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        read(model_folder, column("x", "number"), quality=[rule])


@pytest.mark.parametrize("tolerance", [1, True, "much"])
def test_a_tolerance_of_a_column_must_be_a_share(model_folder: Write, tolerance: Any) -> None:
    with pytest.raises(ContractError, match="column 'x': customProperties: tolerance is a share"):
        read(model_folder, column("x", customProperties=[{"property": "tolerance", "value": tolerance}]))


def test_a_description_does_not_change_the_digest_of_the_rules(model_folder: Write) -> None:
    plain = read(model_folder, column("x", "number"))
    described = read(model_folder, column("x", "number", description="Miles."))
    other = read(model_folder, column("x", "number", logicalTypeOptions={"minimum": 1}))
    assert plain.digest != described.digest
    assert plain.rulings == described.rulings != other.rulings


# Applying to rows


def test_a_condition_over_several_columns_names_the_rows_that_break_it() -> None:
    numbers = [Column(name, "number", "feature") for name in ("x", "y")]
    contract = contract_of(*numbers, rules=(RowRule("x > y AND won", "x is above y"),))
    checked = check(contract, table(x=["1", "5", "", "7"], y=["2", "2", "2", "7"]))
    assert checked.bad["id"].to_list() == ["r1"]
    assert checked.bad[REASONS].to_list() == [["x is above y"]]
    assert checked.reasons == {"x is above y": 1}


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("x >", "cannot be evaluated for a row"),
        ("nil > 3", "cannot be evaluated for a row: .*nil"),
        ("x + 1", "neither true nor false"),
    ],
)
def test_an_invalid_condition_is_refused(condition: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        conditions(contract_of(Column("x", "number", "feature"), rules=(RowRule(condition, "s"),)))


def test_values_must_be_unique_together() -> None:
    pair = [Column(name, "string", "feature") for name in ("x", "y")]
    checked = check(contract_of(*pair, together=(("x", "y"),)), table(x=["a", "a", "a", ""], y=["1", "2", "1", "1"]))
    assert checked.bad["id"].to_list() == ["r2"]
    assert checked.reasons == {"x and y: appear together more than once": 1}


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30)


@given(NAMES, st.lists(st.integers(1, 7), min_size=1, max_size=8))
def test_repetitions_are_found_across_batches_of_any_size(names: list[str], sizes: list[int]) -> None:
    # Given a file whose keys repeat, in batches of any size
    rows = pl.DataFrame({"id": names, "won": ["true"] * len(names), "x": ["1"] * len(names)})
    contract = contract_of(Column("x", "number", "feature"))
    batches: list[pl.DataFrame] = []
    start = 0
    while start < len(names):
        batches.append(rows.slice(start, sizes[len(batches) % len(sizes)]))
        start += batches[-1].height
    # When they are checked, a second time where that is needed
    row_check = RowCheck(contract, rows.columns)
    results = [row_check.check(batch) for batch in batches]
    if repeated := row_check.repeated():
        row_check = RowCheck(contract, rows.columns, repeated)
        results = [row_check.check(batch) for batch in batches]
        assert row_check.repeated() is None
    # Then the first of each key is good, every other is bad, and rows are numbered across batches
    assert [name for result in results for name in result.good["id"]] == list(dict.fromkeys(names))
    bad = [place for result in results for place in result.bad["_row"]]
    assert bad == [place + 1 for place, name in enumerate(names) if name in names[:place]]
    assert row_check.tally.rows == len(names)


# Applying to a file


def test_the_share_of_missing_values_is_bounded() -> None:
    contract = contract_of(Column("x", "number", "feature", nulls=Bounds(most=25), nulls_in="percent"))
    assert refusal(contract, tally_of(contract, table(x=["1", "", "3", "4"]))) is None
    reason = refusal(contract, tally_of(contract, table(x=["1", "", " ", "4"])))
    assert reason == "x is missing in 2 of 4 rows (50.0%), the contract says at most 25%"


def test_the_number_of_missing_values_is_bounded() -> None:
    contract = contract_of(Column("x", "number", "feature", nulls=Bounds(below=1)))
    reason = refusal(contract, tally_of(contract, table(x=["1", ""])))
    assert reason == "x is missing in 1 of 2 rows (50.0%), the contract says less than 1 rows"


def test_a_column_may_have_a_lower_tolerance_than_the_rows() -> None:
    columns = [Column("x", "number", "feature", minimum=0, tolerance=0.25), Column("y", "number", "feature")]
    contract = contract_of(*columns)
    assert refusal(contract, tally_of(contract, table(x=["-1", "2", "3", "4"], y=["1", "y", "1", "1"]))) is None
    reason = refusal(contract, tally_of(contract, table(x=["-1", "x", "3", "4"], y=["1", "1", "1", "1"])))
    assert reason == "x is wrong in 2 of 4 rows (50.0%), the contract tolerates 25.0% of that column"


def test_the_number_of_rows_is_bounded() -> None:
    contract = contract_of(Column("x", "number", "feature"), row_count=Bounds(least=3, most=1000))
    assert refusal(contract, tally_of(contract, table(x=["1", "2", "3"]))) is None
    reason = refusal(contract, tally_of(contract, table(x=["1", "2"])))
    assert reason == "there are 2 rows, the contract says at least 3 and at most 1,000"


def test_the_age_of_the_newest_row_is_bounded() -> None:
    contract = contract_of(Column("at", "timestamp", "event_time"), max_age=86400.0)
    uploaded = datetime(2026, 1, 3, tzinfo=UTC)
    fresh = tally_of(contract, table(at=["2026-01-02T00:00:00Z", "2025-01-01T00:00:00Z"]))
    assert refusal(contract, fresh, uploaded) is None
    assert refusal(contract, fresh, uploaded + timedelta(seconds=1)) == (
        "the newest row is of 2026-01-02T00:00:00+00:00, 24 hours before the upload; the contract says at most 24 hours"
    )
    none = replace(fresh, newest=None)
    assert "no row has an event time" in str(refusal(contract, none, uploaded))


def test_a_refusal_names_every_fault_of_the_file() -> None:
    contract = contract_of(
        Column("x", "number", "feature", nulls=Bounds(most=0)), row_count=Bounds(least=9), tolerance=0.0
    )
    reasons = str(refusal(contract, tally_of(contract, table(x=["", "x", "1"]))))
    assert reasons.split("; ") == [
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
    assert all(map(bounds.include, good))
    assert not any(map(bounds.include, bad))
