"""Golden examples contain no personal values, and their scores are exact."""

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


def test_optional_personal_field_is_absent(tiny_onnx: bytes) -> None:
    golden_rows = examples(tiny_onnx, "note", "free")
    assert len(golden_rows) == golden.COUNT
    assert not [item for item in golden_rows if {"note", "free"} & set(item["instance"])]
    # And the scores are those of the changed examples
    scores = Model(tiny_onnx).score_rows([item["instance"] for item in golden_rows])
    assert [item["score"] for item in golden_rows] == scores.tolist()


def test_required_personal_field_has_the_same_neutral_value_in_every_example(tiny_onnx: bytes) -> None:
    # Given required personal columns
    golden_rows = examples(tiny_onnx, "city", "amount", required=True)
    assert {(item["instance"]["city"], item["instance"]["amount"]) for item in golden_rows} == {("XXX", 0.0)}
    # Then the file accepts them and gives their scores
    model = Model(tiny_onnx)
    rows = model.decode(json.dumps({"instances": [item["instance"] for item in golden_rows]}).encode())
    assert model.score_rows(rows).tolist() == [item["score"] for item in golden_rows]


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
def test_neutral_value_is_valid_under_the_contract(column: Column, value: object) -> None:
    contract = Contract("c", "1", (column, TARGET), 0.0, "digest")
    assert golden.neutral(column, Rows(pl.DataFrame({"x": ["a"]}), contract)) == value


@pytest.mark.parametrize(
    ("value", "pattern", "mask"),
    [
        ("ann.smith@example.org", r"[^@]+@[^@]+", "xxxxxxxxx@xxxxxxxxxxx"),
        ("1980-12-31", r"(19|20)\d\d-\d\d-\d\d", "1900-00-00"),
        ("QQ123456C", r"[A-Z]{2}\d{6}[A-D]", "XX000000C"),
        ("+49 170 5550199", r"\+[0-9 ]+", "+00000000000000"),
    ],
)
def test_characters_that_the_pattern_does_not_fix_are_masked(value: str, pattern: str, mask: str) -> None:
    assert golden.mask(value, pattern) == mask


def test_multiclass_example_has_the_probability_of_each_class() -> None:
    # Given a model of three classes
    data = tiny.build_multiclass()
    golden_rows = examples(data)
    # Then each example has the whole prediction: label, its probability, and all probabilities
    scores = Model(data).score_rows([item["instance"] for item in golden_rows])
    assert scores.shape == (golden.COUNT, 3)
    assert [list(item["scores"].values()) for item in golden_rows] == scores.tolist()
    assert [item["score"] for item in golden_rows] == scores.max(axis=1).tolist()
    assert json.loads(json.dumps(golden_rows)) == golden_rows
