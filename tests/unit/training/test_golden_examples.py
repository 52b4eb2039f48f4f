"""Golden examples hold nobody's values, and stay exact."""

import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from penstock.contract.model import Column, Contract
from penstock.scoring.model import Model
from tests.support import tiny
from training.steps.data.rows import Rows
from training.steps.measure import golden_examples as golden

TARGET = Column("won", "boolean", "target", required=True)


def examples(onnx: bytes, *personal: str, **changed: Any) -> list[dict[str, Any]]:
    columns = [
        replace(column, personal=column.name in personal, **changed if column.name in personal else {})
        for column in tiny.COLUMNS
    ]
    contract = Contract("tiny", "1", (*columns, TARGET), 0.0, "digest")
    table = tiny.table().with_columns(pl.lit(value=True).alias("won"), pl.col("level").round(), pl.col("count").round())
    return golden.examples(Rows(table, contract), Model(onnx))


def test_an_optional_personal_field_is_absent(tiny_onnx: bytes) -> None:
    found = examples(tiny_onnx, "note", "free")
    assert len(found) == golden.COUNT
    assert not [item for item in found if {"note", "free"} & set(item["instance"])]
    # And the scores are those of the examples as they stand
    scores = Model(tiny_onnx).score_rows([item["instance"] for item in found])
    assert [item["score"] for item in found] == scores.tolist()


def test_a_required_one_has_the_same_neutral_value_in_every_example(tiny_onnx: bytes) -> None:
    # Given personal columns that a request must have
    found = examples(tiny_onnx, "city", "amount", required=True)
    assert {(item["instance"]["city"], item["instance"]["amount"]) for item in found} == {("XXX", 0.0)}
    # Then the file takes them, and gives the scores that stand there
    model = Model(tiny_onnx)
    rows = model.decode(json.dumps({"instances": [item["instance"] for item in found]}).encode())
    assert model.score_rows(rows).tolist() == [item["score"] for item in found]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("x", "string", "feature", allowed=("red", "green")), "red"),
        (Column("x", "string", "feature", min_length=3), "xxx"),
        (Column("x", "string", "feature"), "x"),
        (Column("x", "boolean", "feature"), False),
        (Column("x", "integer", "feature", minimum=1.5), 2),
        (Column("x", "number", "feature", maximum=-3), -3.0),
        (Column("x", "number", "feature", minimum=-3, maximum=3), 0.0),
    ],
)
def test_a_neutral_value_keeps_the_contract(column: Column, value: object) -> None:
    contract = Contract("c", "1", (column, TARGET), 0.0, "digest")
    assert golden.neutral(column, Rows(pl.DataFrame({"x": ["a"]}), contract)) == value


@pytest.mark.parametrize(
    ("value", "pattern", "masked"),
    [
        ("ann.smith@example.org", r"[^@]+@[^@]+", "xxxxxxxxx@xxxxxxxxxxx"),
        ("1980-12-31", r"(19|20)\d\d-\d\d-\d\d", "1900-00-00"),
        ("QQ123456C", r"[A-Z]{2}\d{6}[A-D]", "XX000000C"),
        ("+49 170 5550199", r"\+[0-9 ]+", "+00000000000000"),
    ],
)
def test_what_a_pattern_leaves_free_is_masked(value: str, pattern: str, masked: str) -> None:
    assert golden.masked(value, pattern) == masked


def test_of_several_classes_an_example_has_the_whole_vector() -> None:
    # Given a model of three classes
    data = tiny.build_multiclass()
    found = examples(data)
    # Then each example holds what the file answers: label, its probability, and all of them
    scores = Model(data).score_rows([item["instance"] for item in found])
    assert scores.shape == (golden.COUNT, 3)
    assert [list(item["scores"].values()) for item in found] == scores.tolist()
    assert [item["score"] for item in found] == scores.max(axis=1).tolist()
    assert json.loads(json.dumps(found)) == found
