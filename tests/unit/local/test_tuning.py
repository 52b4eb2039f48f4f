"""Tuning: what a spec may search, how a trial gets its params and tells its number, and what a run keeps of it."""

import io
import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from rich.console import Console

from penstock.audit import side_by_side
from penstock.cli.run_progress import render_run
from penstock.evaluation import tuning_record as tuning
from penstock.local.sagemaker.jobs.suggestions import suggestions
from penstock.local.sagemaker.jobs.trials import Trials
from penstock.local.sagemaker.protocol.errors import SageMakerError
from penstock.spec.model import ModelSpec
from penstock.spec.tuning import Range, TrialError, Tuning, text
from tests.unit.conftest import PROJECT

RANGES: dict[str, Any] = {
    "learning_rate": {"min": 0.001, "max": 0.1, "scale": "log"},
    "leaves": {"min": 8, "max": 64, "integer": True},
    "kind": {"values": ["gbdt", 3, 0.5, True]},
}


def spec(tuned: dict[str, Any], **more: Any) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", "tuning": tuned} | more)


def test_nothing_is_tuned_unless_asked() -> None:
    assert ModelSpec(name="m").tuning is None


def test_the_metric_is_the_tasks_first_unless_given() -> None:
    for task, first in (("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "r2")):
        found = spec({"ranges": RANGES}, task=task).tuning
        assert found is not None
        assert (found.metric, found.objective) == (first, f"validation_{first}")


@pytest.mark.parametrize(
    ("tuned", "more", "words"),
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
def test_what_cannot_be_searched_is_refused(tuned: dict[str, Any], more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match="tuning") as refused:
        spec({"ranges": RANGES} | tuned, **more)
    assert words in str(refused.value)


def test_values_go_to_text_and_back_with_their_types() -> None:
    # Given every kind of value
    searched = Tuning(ranges={name: Range(**about) for name, about in RANGES.items()})
    for kind in RANGES["kind"]["values"]:
        # When it comes back as SageMaker hands it over, beside what every job has
        given = {"learning_rate": "0.01", "leaves": "31", "kind": text(kind), "model": "m", "run": "r"}
        found = searched.chosen(given)
        # Then it is what it was
        assert found == {"learning_rate": 0.01, "leaves": 31, "kind": kind}
        assert [type(value) for value in found.values()] == [float, int, type(kind)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"leaves": "x"}, "'leaves' does not fit tuning.ranges: 'x' is no number"),
        ({"leaves": "8.5"}, "8.5 is no whole number"),
        ({"leaves": "65"}, "65 is not between 8 and 64"),
        ({"learning_rate": "nan"}, "nan is not between"),
        ({"kind": "dart"}, "'dart' is none of its values"),
    ],
)
def test_a_hyperparameter_that_is_no_trials_is_refused(given: dict[str, str], words: str) -> None:
    searched = Tuning(ranges={name: Range(**about) for name, about in RANGES.items()})
    good = {"learning_rate": "0.01", "leaves": "31", "kind": "gbdt"}
    with pytest.raises(TrialError, match=words):
        searched.chosen(good | given)
    with pytest.raises(TrialError, match=r"no hyperparameter .leaves., which model\.yaml tunes"):
        searched.chosen({"learning_rate": "0.01", "kind": "gbdt"})


def test_the_example_of_the_guide_is_valid() -> None:
    text = (PROJECT / "docs" / "howto" / "tuning.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(tuning:.*?)```", text, re.DOTALL)
    found = spec(yaml.safe_load(example)["tuning"]).tuning
    assert found is not None
    assert len(found.ranges) == 3


# What the laptop cloud tries

CONFIG: dict[str, Any] = {
    "Strategy": "Random",
    "ParameterRanges": {
        "IntegerParameterRanges": [{"Name": "leaves", "MinValue": "1", "MaxValue": "3", "ScalingType": "Linear"}],
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
    },
}


def first(config: dict[str, Any], count: int) -> list[dict[str, str]]:
    found = suggestions(config)
    return [trial for _, trial in zip(range(count), found, strict=False)]


def test_the_same_request_gives_the_same_trials() -> None:
    assert first(CONFIG, 9) == first(CONFIG, 9)
    assert first(CONFIG | {"RandomSeed": 1}, 9) == first(CONFIG | {"RandomSeed": 1}, 9)
    assert first(CONFIG | {"RandomSeed": 1}, 9) != first(CONFIG | {"RandomSeed": 2}, 9)


def test_draws_lie_in_their_ranges_and_use_all_of_them() -> None:
    drawn = first(CONFIG, 600)
    rates = [float(trial["rate"]) for trial in drawn]
    assert all(0.001 <= rate <= 1 for rate in rates)
    # On a log scale each power of ten has about as many
    decades = [sum(low <= rate < 10 * low for rate in rates) for low in (0.001, 0.01, 0.1)]
    assert all(150 < count < 250 for count in decades)
    leaves = [trial["leaves"] for trial in drawn]
    assert all(150 < leaves.count(number) < 250 for number in ("1", "2", "3"))
    assert {trial["kind"] for trial in drawn} == {"a", "b"}


def test_no_trial_comes_twice_and_a_small_space_ends() -> None:
    ranges = {name: listed for name, listed in CONFIG["ParameterRanges"].items() if not name.startswith("Cont")}
    drawn = first(CONFIG | {"ParameterRanges": ranges}, 50)
    assert len(drawn) == len({str(trial) for trial in drawn}) == 6


def test_a_grid_is_every_combination() -> None:
    listed = [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y"]}]
    config = {"Strategy": "Grid", "ParameterRanges": {"CategoricalParameterRanges": listed}}
    assert first(config, 9) == [{"a": a, "b": b} for a in "12" for b in "xy"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Strategy": "Hyperband"}, "no strategy Hyperband"),
        ({"Strategy": "Grid"}, "categorical parameters only"),
        ({"ParameterRanges": {}}, "at least one parameter"),
        ({"ParameterRanges": {"AutoParameters": [{"Name": "a", "ValueHint": "1"}]}}, "no AutoParameters"),
    ],
)
def test_a_search_that_sagemaker_or_the_laptop_refuses(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        first(CONFIG | change, 1)


def job(status: str, value: float | None = None) -> dict[str, Any]:
    metrics = [] if value is None else [{"MetricName": "validation_log_loss", "Value": value}]
    return {"TrainingJobStatus": status, "FinalMetricDataList": metrics}


@pytest.mark.parametrize(("kind", "best"), [("Minimize", "b"), ("Maximize", "a")])
def test_the_best_is_a_completed_trial_with_a_number(kind: str, best: str) -> None:
    # Given trials of every ending, those that did not complete with the best numbers
    jobs = {
        "a": job("Completed", 0.5), "b": job("Completed", 0.4), "c": job("Failed", 0.1), "d": job("Stopped", 0.9),
        "e": job("Completed"), "f": job("InProgress"),
    }  # fmt: skip
    named = {name: about | {"TrainingJobName": name} for name, about in jobs.items()}
    objective = {"Type": kind, "MetricName": "validation_log_loss"}
    record = {
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": objective},
        "_trials": {n: {} for n in jobs},
    }
    # When they are counted
    found = Trials(record, named).counters()
    # Then the best is one that completed, and the counts say the rest
    assert found["BestTrainingJob"]["TrainingJobName"] == best
    assert found["TrainingJobStatusCounters"] == {
        "Completed": 3, "InProgress": 1, "RetryableError": 0, "NonRetryableError": 1, "Stopped": 1,
    }  # fmt: skip
    assert found["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 1, "Failed": 3}


# What a run keeps

FOUND = {"job": "m-abc-run1-1-0", "trial": "m-abc-run1-1-0-002-0a", "trials": {"Completed": 3, "NonRetryableError": 1}}
TRAINING = {"tuned": {"leaves": 31, "rate": 0.0123456}, "validation": {"validation_log_loss": 0.41234}}


def test_a_run_keeps_what_was_chosen_and_says_it() -> None:
    step = tuning.tuning_step(FOUND, TRAINING)
    assert step["params"] == {"leaves": 31, "rate": 0.0123456}
    assert step["trials"] == {"made": 4, "completed": 3, "failed": 1, "stopped": 0}
    assert tuning.sentence(step) == (
        "leaves=31, rate=0.01235: validation_log_loss 0.4123, the best of 4 trials, 1 failed"
    )


def test_runs_are_compared_by_the_params_they_really_had() -> None:
    # Given a tuned run and one whose params were given
    asked = {"training": {"params": {"trees": 9}}}
    tuned = {"validate": {"parameters": asked}, "tuning": tuning.tuning_step(FOUND, TRAINING)}
    given = {"validate": {"parameters": {"training": {"params": {"trees": 9, "leaves": 15}}}}}
    # Then what differs is what fit was given
    rows = side_by_side.parameters([tuning.parameters(tuned), tuning.parameters(given)])
    assert {row["parameter"]: row["values"] for row in rows} == {
        "training.params.leaves": [31, 15], "training.params.rate": [0.0123456, None],
    }  # fmt: skip


def test_whoever_follows_a_run_sees_how_far_its_search_is() -> None:
    # Given a run in the midst of its search, and one that is through
    record = {"id": "r1", "cause": "upload", "state": "open", "opened": "2026-01-01T00:00:00+00:00", "steps": {}}
    tune = {"name": "Tune", "entered": "2026-01-01T00:00:00+00:00", "left": None, "progress": ", 3 of 8 trials"}

    def shown(about: dict[str, Any], state: dict[str, Any]) -> str:
        console = Console(width=200, record=True, file=io.StringIO())
        console.print(render_run(about, [state]))
        return console.export_text()

    # Then the one says how many trials are done, the other what was chosen
    assert "tune, 3 of 8 trials" in shown(record, tune)
    after = shown(record | {"steps": {"tuning": tuning.tuning_step(FOUND, TRAINING)}}, tune | {"progress": ""})
    assert "tuned leaves=31, rate=0.01235: validation_log_loss 0.4123, the best of 4 trials, 1 failed" in after
