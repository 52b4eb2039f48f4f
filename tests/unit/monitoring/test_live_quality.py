"""Live quality from ground truth, held against scikit-learn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from penstock.contract.odcs import read_contract
from penstock.monitoring import live_quality, live_slices
from penstock.spec.decisions import Evaluating
from penstock.spec.model import read_model
from tests.support.world import FLIGHT_DELAY

CLASSES = [2, 10, 30]
NAMES = [str(item) for item in CLASSES]


def answered(rows: int, present: list[int]) -> tuple[list[dict[str, Any]], list[int]]:
    """Captured rows of three classes, and the truth, of some of them."""
    random = np.random.default_rng(4)
    scores = random.dirichlet([2, 1, 0.5], rows)
    found = [
        {"version": 1, "label": CLASSES[int(row.argmax())], "score": float(row.max()), "scores": row.tolist()}
        for row in scores
    ]
    return found, [int(random.choice([*present, row["label"]])) for row in found]


def names(_version: int) -> list[str]:
    return NAMES


@pytest.mark.parametrize("present", [CLASSES, [2, 30]], ids=["every class", "two of three"])
def test_the_numbers_are_scikit_learns(present: list[int]) -> None:
    # Given answers of three classes, of which some really occur
    pairs = [pair for pair in zip(*answered(500, present), strict=True) if pair[1] in present]
    rows, truth = [row for row, _ in pairs], [real for _, real in pairs]
    labels, scores = [row["label"] for row in rows], [row["scores"] for row in rows]
    # When they are measured
    found, remark = live_quality.measure("multiclass", rows, truth, names)
    # Then the numbers are scikit-learn's, means over the classes that occur
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, labels),
            "balanced_accuracy": metrics.recall_score(truth, labels, labels=present, average="macro"),
            "f1": metrics.f1_score(truth, labels, labels=present, average="macro"),
            "log_loss": metrics.log_loss(truth, scores, labels=CLASSES),
        },
        abs=1e-12,
    )
    # And the class with the lowest recall is named with its rows
    recalls = metrics.recall_score(truth, labels, labels=present, average=None)
    weakest = present[int(np.argmin(recalls))]
    assert remark == f", lowest recall {min(recalls):.3f} of {weakest} in {truth.count(weakest)} rows"


def test_a_regressions_error_is_scikit_learns() -> None:
    random = np.random.default_rng(4)
    answers, truth = random.normal(size=50).tolist(), random.normal(size=50).tolist()
    found, _ = live_quality.measure("regression", [{"score": score} for score in answers], truth, names)
    assert found == pytest.approx({"rmse": metrics.root_mean_squared_error(truth, answers)})


def test_a_class_that_the_version_does_not_know_is_wrong_and_has_no_log_loss() -> None:
    # Given a truth that is none of the version's classes, beside one that is
    rows = [{"version": 1, "label": 2, "score": 0.5, "scores": [0.5, 0.3, 0.2]}] * 2
    found, remark = live_quality.measure("multiclass", rows, [2, 99], names)
    assert (found["accuracy"], found["balanced_accuracy"]) == (0.5, 0.5)
    assert found["log_loss"] == pytest.approx(-np.log(0.5))
    assert "lowest recall 0.000 of 99 in 1 rows" in remark


def test_an_impossible_truth_counts_as_scikit_learn_counts_it() -> None:
    rows = [{"version": 1, "label": 2, "score": 1.0, "scores": [1.0, 0.0, 0.0]}] * 2
    found, _ = live_quality.measure("multiclass", rows, [2, 30], names)
    assert found["log_loss"] == pytest.approx(metrics.log_loss([2, 30], [[1, 0, 0]] * 2, labels=CLASSES))


def test_without_the_names_of_the_classes_there_is_no_log_loss() -> None:
    rows, truth = answered(20, CLASSES)
    found, _ = live_quality.measure("multiclass", rows, truth, lambda _: [])
    assert set(found) == {"accuracy", "balanced_accuracy", "f1"}


def test_a_slice_is_measured_as_its_rows_are() -> None:
    # Given answered rows of two cities and of many amounts
    spec, contract = read_model(FLIGHT_DELAY), read_contract(FLIGHT_DELAY)
    asked = {"slices": ["origin", "distance"], "min_rows": 30}
    spec = spec.model_copy(update={"task": "multiclass", "evaluation": Evaluating.model_validate(asked)})
    rows, truth = answered(300, CLASSES)
    random = np.random.default_rng(6)
    cities = random.choice(["JFK", "LGA", "EWR"], 300, p=[0.6, 0.35, 0.05]).tolist()
    amounts = random.integers(100, 2_000, 300).tolist()
    rows = [
        row | {"instance": {"origin": city, "distance": amount}}
        for row, city, amount in zip(rows, cities, amounts, strict=True)
    ]
    # When they are cut
    found = live_slices.measure(spec, contract, rows, truth)
    # Then each slice of enough rows has scikit-learn's accuracy, the worst first
    by = {(item["column"], item["value"]): item for item in found}
    for city in ("JFK", "LGA"):
        mine = [index for index, name in enumerate(cities) if name == city]
        own = metrics.accuracy_score([truth[i] for i in mine], [rows[i]["label"] for i in mine])
        assert by["origin", city]["rows"] == len(mine)
        assert by["origin", city]["quality"] == pytest.approx(own)
    assert ("origin", "EWR") not in by
    quarters = [item["rows"] for item in found if item["column"] == "distance"]
    assert (len(quarters), sum(quarters)) == (4, 300)
    assert [item["quality"] for item in found] == sorted(item["quality"] for item in found)
    worst = found[0]
    remark = live_slices.remark("multiclass", found)
    assert remark.startswith(f", worst slice {worst['column']} {worst['value']}: accuracy")


def test_of_a_regression_the_worst_slice_has_the_largest_error() -> None:
    spec, contract = read_model(FLIGHT_DELAY), read_contract(FLIGHT_DELAY)
    asked = {"slices": ["origin"], "min_rows": 10}
    spec = spec.model_copy(update={"task": "regression", "evaluation": Evaluating.model_validate(asked)})
    rows = [{"version": 1, "score": 1.0, "instance": {"origin": city}} for city in ["JFK"] * 10 + ["LGA"] * 10]
    found = live_slices.measure(spec, contract, rows, [2.0] * 10 + [4.0] * 10)
    assert [(item["value"], item["quality"]) for item in found] == [("LGA", 3.0), ("JFK", 1.0)]
    assert live_slices.remark("regression", found) == ", worst slice origin LGA: rmse 3.000 in 10 rows"


def test_a_personal_column_cuts_nothing() -> None:
    spec, contract = read_model(FLIGHT_DELAY), read_contract(FLIGHT_DELAY)
    columns = tuple(replace(item, personal=item.name == "origin") for item in contract.columns)
    asked = {"slices": ["origin"], "min_rows": 10}
    spec = spec.model_copy(update={"evaluation": Evaluating.model_validate(asked)})
    rows = [{"version": 1, "score": 1.0, "label": True, "instance": {"origin": "a hash"}}] * 20
    assert live_slices.measure(spec, replace(contract, columns=columns), rows, [True] * 20) == []
    assert live_slices.remark("binary", []) == ""
