"""Slices and groups: their rows, metrics and disparities."""

from typing import Any

import numpy as np
import pytest

from penstock.evaluation import metrics as evaluation
from penstock.evaluation.confidence import Scored
from penstock.evaluation.slice_rules import parts
from penstock.evaluation.slices import disparity, slices

RANDOM = np.random.default_rng(9)
ROWS = 600
TRUTH: Any = RANDOM.random(ROWS) < 0.4
SCORES: Any = np.clip(0.3 * TRUTH + RANDOM.random(ROWS) * 0.7, 0, 1)
OWN = Scored(SCORES, 0.5)
CITIES = RANDOM.choice(["JFK", "LGA", ""], ROWS, p=[0.6, 0.3, 0.1]).tolist()
AMOUNTS = [None if index % 20 == 0 else float(value) for index, value in enumerate(RANDOM.random(ROWS) * 100)]


def rows_of(values: Any, least: int = 1) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in parts(values, least)}


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (["a", "b", "a", ""], {"a": 2, "b": 1, "missing": 1}),
        ([1.0, 0.0, None, 1.0], {"0": 1, "1": 2, "missing": 1}),
        ([0.5, 1.0, None, 1.0], {"0.5": 1, "1": 2, "missing": 1}),
        ([True, False, True], {"False": 1, "True": 2}),
        ([1.0, 2.0, 3.0, 4.0, 5.0, None], {"≤ 2": 2, "> 2, ≤ 3": 1, "> 3, ≤ 4": 1, "> 4": 1, "missing": 1}),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0], {"≤ 0": 8, "> 0, ≤ 1.25": 1, "> 1.25": 3}),
        (["", ""], {"missing": 2}),
    ],
)
def test_column_is_split_by_values_or_quartiles(values: list[Any], rows: dict[str, int]) -> None:
    assert rows_of(values) == rows


def test_rare_values_share_one_slice() -> None:
    assert rows_of(["a"] * 9 + ["somebody", "nobody"], least=3) == {"a": 9, "other values": 2}


@pytest.mark.parametrize("values", [CITIES, AMOUNTS])
def test_every_row_is_in_exactly_one_slice(values: list[Any]) -> None:
    assert np.sum([mask for _, mask in parts(values, 30)], axis=0).tolist() == [1] * ROWS


def test_metrics_of_a_slice_are_those_of_its_rows() -> None:
    # Given a champion, and slices by a text column
    champion = Scored(1 - SCORES, 0.4)
    # When they are measured
    result = {
        part["value"]: part for part in slices({"city": CITIES}, TRUTH, {"challenger": OWN, "champion": champion}, 9)
    }
    # Then each has the metrics of its rows, of both models
    mask = np.array(CITIES) == "LGA"
    assert result["LGA"]["rows"] == mask.sum()
    assert result["LGA"]["metrics"] == {
        "challenger": evaluation.measure(TRUTH[mask], SCORES[mask], 0.5),
        "champion": evaluation.measure(TRUTH[mask], 1 - SCORES[mask], 0.4),
    }
    assert set(result) == {"JFK", "LGA", "missing"}


def test_small_slice_has_a_count_and_no_metrics() -> None:
    result = slices({"c": ["a"] * (ROWS - 5) + [""] * 5}, TRUTH, {"challenger": OWN}, 10)
    assert [(part["value"], part["rows"], bool(part["metrics"])) for part in result] == [
        ("a", ROWS - 5, True), ("missing", 5, False),
    ]  # fmt: skip


def test_slice_of_one_class_has_the_metrics_defined_on_it() -> None:
    values = ["yes" if positive else "no" for positive in TRUTH]
    result = slices({"c": values}, TRUTH, {"challenger": OWN}, 10)
    assert [set(part["metrics"]["challenger"]) for part in result] == [{"log_loss", "brier", "accuracy"}] * 2
    labels = SCORES[TRUTH] >= 0.5
    assert result[1]["metrics"]["challenger"]["accuracy"] == pytest.approx(labels.mean())


def test_slices_of_a_regression() -> None:
    truth: Any = np.where(np.arange(ROWS) < 300, 5.0, SCORES)
    result = slices({"c": ["a"] * 300 + ["b"] * 300}, truth, {"challenger": Scored(SCORES, None)}, 10)
    assert "r2" not in result[0]["metrics"]["challenger"]
    assert result[1]["metrics"]["challenger"]["rmse"] == 0.0
    assert result[0]["metrics"]["challenger"]["mae"] == pytest.approx(np.mean(5 - SCORES[:300]))


def test_disparities_of_two_groups() -> None:
    # Given two groups of ten, and one that is too small: 8 of 10 selected of the one, 4 of the other
    truth = np.array([True] * 5 + [False] * 5 + [True] * 5 + [False] * 5 + [True])
    labels = np.array([1] * 5 + [1] * 3 + [0] * 2 + [1] * 3 + [0] * 2 + [1] + [0] * 4 + [0])
    result = disparity("sex", ["f"] * 10 + ["m"] * 10 + ["x"], truth, Scored(labels.astype(float), 0.5), 5)
    # Then the rates are those computed by hand
    assert [(group["value"], group["rows"]) for group in result["groups"]] == [("f", 10), ("m", 10)]
    assert [group["selection_rate"] for group in result["groups"]] == [0.8, 0.4]
    assert [group["tpr"] for group in result["groups"]] == [1.0, 0.6]
    assert [group["fpr"] for group in result["groups"]] == [0.6, 0.2]
    assert (result["selection_rate_difference"], result["selection_rate_ratio"]) == (0.4, 0.5)
    assert (result["tpr_difference"], result["fpr_difference"]) == pytest.approx((0.4, 0.4))


def test_one_group_has_no_disparity() -> None:
    result = disparity("sex", ["f"] * ROWS, TRUTH, OWN, 10)
    assert (result["selection_rate_difference"], result["selection_rate_ratio"], result["tpr_difference"]) == (
        None,
    ) * 3


def test_groups_without_a_selection_have_no_disparity() -> None:
    result = disparity("city", CITIES, TRUTH, Scored(SCORES, 2.0), 10)
    assert (result["selection_rate_difference"], result["selection_rate_ratio"]) == (0.0, 1.0)
