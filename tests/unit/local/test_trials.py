"""Trials of a tuning job on the laptop cloud: the parameters to try, and the best of them."""

from typing import Any

import pytest

from penstock.local.sagemaker.jobs.suggestions import suggestions
from penstock.local.sagemaker.jobs.trials import Trials
from penstock.local.sagemaker.protocol.errors import SageMakerError

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
    trials = suggestions(config)
    return [trial for _, trial in zip(range(count), trials, strict=False)]


def test_the_same_request_gives_the_same_trials() -> None:
    assert first(CONFIG, 9) == first(CONFIG, 9)
    assert first(CONFIG | {"RandomSeed": 1}, 9) == first(CONFIG | {"RandomSeed": 1}, 9)
    assert first(CONFIG | {"RandomSeed": 1}, 9) != first(CONFIG | {"RandomSeed": 2}, 9)


def test_draws_are_in_their_ranges_and_use_all_of_them() -> None:
    trials = first(CONFIG, 600)
    rates = [float(trial["rate"]) for trial in trials]
    assert all(0.001 <= rate <= 1 for rate in rates)
    # On a log scale each power of ten has about as many
    decades = [sum(low <= rate < 10 * low for rate in rates) for low in (0.001, 0.01, 0.1)]
    assert all(150 < count < 250 for count in decades)
    leaves = [trial["leaves"] for trial in trials]
    assert all(150 < leaves.count(number) < 250 for number in ("1", "2", "3"))
    assert {trial["kind"] for trial in trials} == {"a", "b"}


def test_trials_are_unique_and_a_small_space_is_exhausted() -> None:
    ranges = {name: items for name, items in CONFIG["ParameterRanges"].items() if not name.startswith("Cont")}
    trials = first(CONFIG | {"ParameterRanges": ranges}, 50)
    assert len(trials) == len({str(trial) for trial in trials}) == 6


def test_a_grid_is_every_combination() -> None:
    categories = [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y"]}]
    config = {"Strategy": "Grid", "ParameterRanges": {"CategoricalParameterRanges": categories}}
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
def test_an_unsupported_search_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        first(CONFIG | change, 1)


def job(status: str, value: float | None = None) -> dict[str, Any]:
    metrics = [] if value is None else [{"MetricName": "validation_log_loss", "Value": value}]
    return {"TrainingJobStatus": status, "FinalMetricDataList": metrics}


@pytest.mark.parametrize(("kind", "best"), [("Minimize", "b"), ("Maximize", "a")])
def test_the_best_is_a_completed_trial_with_a_value(kind: str, best: str) -> None:
    # Given trials of every status, of which the incomplete ones have the best values
    jobs = {
        "a": job("Completed", 0.5), "b": job("Completed", 0.4), "c": job("Failed", 0.1), "d": job("Stopped", 0.9),
        "e": job("Completed"), "f": job("InProgress"),
    }  # fmt: skip
    records = {name: job | {"TrainingJobName": name} for name, job in jobs.items()}
    objective = {"Type": kind, "MetricName": "validation_log_loss"}
    record = {
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": objective},
        "_trials": {n: {} for n in jobs},
    }
    # When they are counted
    counters = Trials(record, records).counters()
    # Then the best is a completed one, and the counts are right
    assert counters["BestTrainingJob"]["TrainingJobName"] == best
    assert counters["TrainingJobStatusCounters"] == {
        "Completed": 3, "InProgress": 1, "RetryableError": 0, "NonRetryableError": 1, "Stopped": 1,
    }  # fmt: skip
    assert counters["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 1, "Failed": 3}
