"""Reading the rows of a dataset version by side."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from penstock.contract.model import Column, Contract
from penstock.spec.model import Split
from training.steps.data.container import StepError
from training.steps.data.rows import read_sides

START = datetime(2026, 1, 1, tzinfo=UTC)
BY_TIME = Split(by="time", holdout=0.25, validation=0.25)
COLUMNS = (
    Column("id", "string", "key"),
    Column("at", "timestamp", "event_time"),
    Column("amount", "number", "feature"),
    Column("late", "boolean", "target"),
)


@pytest.fixture
def contract() -> Contract:
    return Contract(name="c", version="1", columns=COLUMNS, tolerance=0.0, digest="k")


def day(number: int) -> int:
    return int((START + timedelta(days=number)).timestamp() * 1e6)


def write(folder: Path, name: str, days: list[int | None], ids: list[str] | None = None) -> None:
    at = [None if number is None else START + timedelta(days=number) for number in days]
    pl.DataFrame(
        {
            "id": ids or [f"{name}{number}" for number in range(len(days))],
            "at": pl.Series(at, dtype=pl.Datetime("us", "UTC")),
            "amount": [float(number or 0) for number in days],
            "late": [False] * len(days),
        }
    ).write_parquet(folder / f"{name}.parquet")


def amounts(folder: Path, parts: list[str], contract: Contract, cut: dict[str, int]) -> dict[str, list[Any]]:
    sides = read_sides(folder, parts, contract, BY_TIME, cut)
    return {side: sorted(rows.table["amount"].to_list()) for side, rows in sides.items()}


def test_newest_rows_are_the_holdout(tmp_path: Path, contract: Contract) -> None:
    write(tmp_path, "a", [7, 3, 1, 5, 2, 6, 4, 8])
    assert amounts(tmp_path, ["a"], contract, {"holdout_from": day(7)}) == {
        "train": [1, 2, 3, 4], "validation": [5, 6], "holdout": [7, 8],
    }  # fmt: skip


def test_row_corrected_to_a_later_time_stays_out_of_the_holdout(tmp_path: Path, contract: Contract) -> None:
    # Given a row of the first day that a model was trained on, and its correction that moves it to the ninth
    write(tmp_path, "a", [1, 2, 3, 4], ids=["moved", "b", "c", "d"])
    write(tmp_path, "b", [9, 8], ids=["moved", "e"])
    sides = amounts(tmp_path, ["a", "b"], contract, {"holdout_from": day(7)})
    # Then the corrected row is in the training rows, and not in the holdout
    assert sides["holdout"] == [8]
    assert 9 in sides["train"]


def test_window_excludes_older_rows(tmp_path: Path, contract: Contract) -> None:
    write(tmp_path, "a", [None, 1, 2, 3, 4, 5, 6, 7, 8])
    sides = amounts(tmp_path, ["a"], contract, {"holdout_from": day(7), "since": day(3)})
    assert sorted(value for side in sides.values() for value in side) == [3, 4, 5, 6, 7, 8]


def test_request_without_a_boundary_is_refused(tmp_path: Path, contract: Contract) -> None:
    write(tmp_path, "a", [1, 2, 3])
    with pytest.raises(StepError, match="no boundary for a split by time: start a run with `penstock retrain`"):
        read_sides(tmp_path, ["a"], contract, BY_TIME)


def test_side_by_hash_depends_on_the_key_alone(tmp_path: Path, contract: Contract) -> None:
    write(tmp_path, "a", list(range(200)))
    write(tmp_path, "b", list(range(200, 300)))
    split = Split()
    before = read_sides(tmp_path, ["a"], contract, split)["holdout"].columns()["amount"]
    after = read_sides(tmp_path, ["b", "a"], contract, split)["holdout"].columns()["amount"]
    assert set(before) <= set(after)


def test_fit_receives_the_documented_tables(tmp_path: Path) -> None:
    """The tables are those that the README documents under "Your own model"."""
    # Given a part with every kind of column, and values that are missing
    columns = (
        Column("id", "string", "key"),
        Column("at", "timestamp", "event_time"),
        Column("late", "boolean", "target"),
        Column("amount", "number", "feature"),
        Column("count", "integer", "feature"),
        Column("member", "boolean", "feature"),
        Column("colour", "string", "feature"),
    )
    contract = Contract(name="c", version="1", columns=columns, tolerance=0.0, digest="k")
    rows = 200
    values: dict[str, list[Any]] = {
        "amount": [1.5, None],
        "count": [7, None],
        "member": [True, None],
        "colour": ["red", None],
    }
    pl.DataFrame(
        {"id": [f"k{n}" for n in range(rows)], "at": [START] * rows, "late": [False, True] * (rows // 2)}
        | {name: pair * (rows // 2) for name, pair in values.items()}
    ).write_parquet(tmp_path / "a.parquet")
    # When it is read for training
    sides = read_sides(tmp_path, ["a"], contract, Split())
    # Then `fit` gets features and target, numbers as Float32 with nulls, text without, and no holdout row
    for side in ("train", "validation"):
        table = sides[side].table
        assert dict(table.schema) == {
            "amount": pl.Float32, "count": pl.Float32, "member": pl.Float32, "colour": pl.String, "late": pl.Boolean,
        }  # fmt: skip
        assert set(table.rows()) == {(1.5, 7.0, 1.0, "red", False), (None, None, None, "", True)}
    assert sum(side.table.height for side in sides.values()) == rows
