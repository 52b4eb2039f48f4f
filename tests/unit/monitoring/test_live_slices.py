"""Live quality of slices, compared with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from penstock.contract.odcs import read_contract
from penstock.monitoring import live_slices
from penstock.spec.decisions import Evaluating
from penstock.spec.model import read_model
from tests.support.world import FLIGHT_DELAY
from tests.unit.monitoring.test_live_quality import CLASSES, predict_some


def test_a_slice_has_the_quality_of_its_rows() -> None:
    # Given captured rows of three cities, one of them rare, and of many distances
    spec, contract = read_model(FLIGHT_DELAY), read_contract(FLIGHT_DELAY)
    section = {"slices": ["origin", "distance"], "min_rows": 30}
    spec = spec.model_copy(update={"task": "multiclass", "evaluation": Evaluating.model_validate(section)})
    rows, truth = predict_some(300, CLASSES)
    random = np.random.default_rng(6)
    cities = random.choice(["JFK", "LGA", "EWR"], 300, p=[0.6, 0.35, 0.05]).tolist()
    amounts = random.integers(100, 2_000, 300).tolist()
    rows = [
        row | {"instance": {"origin": city, "distance": amount}}
        for row, city, amount in zip(rows, cities, amounts, strict=True)
    ]
    # When they are cut into slices
    slices = live_slices.measure(spec, contract, rows, truth)
    # Then each slice of enough rows has scikit-learn's accuracy, the worst first
    by = {(item["column"], item["value"]): item for item in slices}
    for city in ("JFK", "LGA"):
        places = [index for index, name in enumerate(cities) if name == city]
        accuracy = metrics.accuracy_score([truth[i] for i in places], [rows[i]["label"] for i in places])
        assert by["origin", city]["rows"] == len(places)
        assert by["origin", city]["quality"] == pytest.approx(accuracy)
    assert ("origin", "EWR") not in by
    quarters = [item["rows"] for item in slices if item["column"] == "distance"]
    assert (len(quarters), sum(quarters)) == (4, 300)
    assert [item["quality"] for item in slices] == sorted(item["quality"] for item in slices)
    worst = slices[0]
    remark = live_slices.remark("multiclass", slices)
    assert remark.startswith(f", worst slice {worst['column']} {worst['value']}: accuracy")


def test_the_worst_slice_of_a_regression_has_the_largest_error() -> None:
    spec, contract = read_model(FLIGHT_DELAY), read_contract(FLIGHT_DELAY)
    section = {"slices": ["origin"], "min_rows": 10}
    spec = spec.model_copy(update={"task": "regression", "evaluation": Evaluating.model_validate(section)})
    rows = [{"version": 1, "score": 1.0, "instance": {"origin": city}} for city in ["JFK"] * 10 + ["LGA"] * 10]
    slices = live_slices.measure(spec, contract, rows, [2.0] * 10 + [4.0] * 10)
    assert [(item["value"], item["quality"]) for item in slices] == [("LGA", 3.0), ("JFK", 1.0)]
    assert live_slices.remark("regression", slices) == ", worst slice origin LGA: rmse 3.000 in 10 rows"


def test_a_personal_column_gives_no_slices() -> None:
    spec, contract = read_model(FLIGHT_DELAY), read_contract(FLIGHT_DELAY)
    columns = tuple(replace(item, personal=item.name == "origin") for item in contract.columns)
    section = {"slices": ["origin"], "min_rows": 10}
    spec = spec.model_copy(update={"evaluation": Evaluating.model_validate(section)})
    rows = [{"version": 1, "score": 1.0, "label": True, "instance": {"origin": "a hash"}}] * 20
    assert live_slices.measure(spec, replace(contract, columns=columns), rows, [True] * 20) == []
    assert live_slices.remark("binary", []) == ""
