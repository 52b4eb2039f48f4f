"""`tuning` in `model.yaml`: the ranges to search, and the parameters of a trial."""

import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from penstock.spec.model import ModelSpec
from penstock.spec.tuning import Range, TrialError, Tuning, text
from tests.unit.conftest import PROJECT

RANGES: dict[str, Any] = {
    "learning_rate": {"min": 0.001, "max": 0.1, "scale": "log"},
    "leaves": {"min": 8, "max": 64, "integer": True},
    "kind": {"values": ["gbdt", 3, 0.5, True]},
}


def spec(section: dict[str, Any], **members: Any) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", "tuning": section} | members)


def test_tuning_is_off_by_default() -> None:
    assert ModelSpec(name="m").tuning is None


def test_the_default_metric_is_the_first_of_the_task() -> None:
    for task, first in (("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "r2")):
        section = spec({"ranges": RANGES}, task=task).tuning
        assert section is not None
        assert (section.metric, section.objective) == (first, f"validation_{first}")


@pytest.mark.parametrize(
    ("section", "members", "words"),
    [
        ({"metric": "rmse"}, {}, "'rmse' is not measured on validation rows; there are roc_auc, "),
        ({"metric": "roc_auc"}, {"task": "regression"}, "'roc_auc' is not measured on validation rows; there are r2"),
        ({}, {"training": {"params": {"leaves": 3}}}, "leaves is in training.params and in tuning.ranges: take it out"),
        ({"ranges": {}}, {}, "at least 1"),
        ({"ranges": {"a": 3}}, {}, "a single value belongs in training.params"),
        ({"ranges": {"a": {"values": [[1], 2]}}}, {}, "a value is text, a number or a boolean"),
        ({"ranges": {"a": {}}}, {}, "a range has min and max, or values"),
        ({"ranges": {"a": {"min": 1}}}, {}, "a range has min and max, or values"),
        ({"ranges": {"a": {"min": 2, "max": 2}}}, {}, "min 2 is not below max 2: swap them, or fix the param"),
        ({"ranges": {"a": {"min": 0, "max": 2, "scale": "log"}}}, {}, "on a log scale lies above 0, and min is 0"),
        ({"ranges": {"a": {"min": 0.5, "max": 2, "integer": True}}}, {}, "whole numbers as min and max"),
        ({"ranges": {"a": {"min": 1, "max": 2, "values": [1, 2]}}}, {}, "a range of values has no min, max"),
        ({"ranges": {"a": {"values": [1, "1"]}}}, {}, "'1' is twice among the values"),
        ({"ranges": {"a": {"values": ["", "b"]}}}, {}, "text of 1 to 256 characters"),
        ({"ranges": {"a": {"values": [float("nan"), 1]}}}, {}, "a finite number"),
        ({"ranges": {"a": {"min": 1, "max": float("inf")}}}, {}, "finite number"),
        ({"ranges": {"run": {"values": [1, 2]}}}, {}, "cannot be called 'run'"),
        ({"strategy": "grid"}, {}, "a grid has values only, and learning_rate has none"),
        (
            {"strategy": "grid", "max_jobs": 5, "ranges": {"a": {"values": [1, 2]}, "b": {"values": [1, 2, 3]}}},
            {},
            "the grid has 6 combinations: raise max_jobs",
        ),
        ({"strategy": "hyperband"}, {}, "'bayesian', 'random' or 'grid'"),
    ],
)
def test_an_invalid_search_is_refused(section: dict[str, Any], members: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match="tuning") as error:
        spec({"ranges": RANGES} | section, **members)
    assert words in str(error.value)


def test_values_are_converted_to_text_and_back() -> None:
    # Given every kind of value
    tuning = Tuning(ranges={name: Range(**about) for name, about in RANGES.items()})
    for kind in RANGES["kind"]["values"]:
        # When it is parsed from SageMaker's hyperparameters, which include those of every job
        hyperparameters = {"learning_rate": "0.01", "leaves": "31", "kind": text(kind), "model": "m", "run": "r"}
        values = tuning.parse(hyperparameters)
        # Then value and type are the same
        assert values == {"learning_rate": 0.01, "leaves": 31, "kind": kind}
        assert [type(value) for value in values.values()] == [float, int, type(kind)]


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"leaves": "x"}, "'leaves' does not fit tuning.ranges: 'x' is no number"),
        ({"leaves": "8.5"}, "8.5 is no whole number"),
        ({"leaves": "65"}, "65 is not between 8 and 64"),
        ({"learning_rate": "nan"}, "nan is not between"),
        ({"kind": "dart"}, "'dart' is none of its values"),
    ],
)
def test_a_hyperparameter_outside_its_range_is_refused(hyperparameters: dict[str, str], words: str) -> None:
    tuning = Tuning(ranges={name: Range(**about) for name, about in RANGES.items()})
    good = {"learning_rate": "0.01", "leaves": "31", "kind": "gbdt"}
    with pytest.raises(TrialError, match=words):
        tuning.parse(good | hyperparameters)
    with pytest.raises(TrialError, match=r"no hyperparameter .leaves., which model\.yaml tunes"):
        tuning.parse({"learning_rate": "0.01", "kind": "gbdt"})


def test_the_example_of_the_guide_is_valid() -> None:
    text = (PROJECT / "docs" / "howto" / "tuning.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(tuning:.*?)```", text, re.DOTALL)
    section = spec(yaml.safe_load(example)["tuning"]).tuning
    assert section is not None
    assert len(section.ranges) == 3
