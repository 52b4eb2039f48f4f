"""States of a hyperparameter search: a tuning job instead of the training job, then its best trial's model.

A trial is the whole training job, so that the gates judge the very model that the search chose, not a second fit.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from infra.constructs.base.state_language import State, catch, retry
from infra.constructs.pipeline.job_steps import JobStates, job_steps
from penstock.spec.model import LOWER_IS_BETTER, Tuning
from penstock.spec.tuning import Range, text

_STATES = JobStates(
    run="Tune", refused="No capacity to tune?", wait="Wait to tune", status="Tuned?", stopped="Tuning stopped"
)
_BEST, _WHY = "Best trial", "Why no trial?"
_LOOKUP_SECONDS = 60
_MOST_OF_NAME = 8
_DIGITS = 6
_NUMBER = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_LOOKED_UP = retry(["States.TaskFailed"], seconds=2, attempts=4)


def name_prefix(stage: str, model: str) -> str:
    """Return the name prefix of a model's tuning jobs: a name has at most 32 characters, 12 of them the run's."""
    digest = hashlib.sha256(f"{stage}-{model}".encode()).hexdigest()[:_DIGITS]
    return f"{model[:_MOST_OF_NAME].rstrip('-')}-{digest}"


def tuning_steps(tuning: Tuning, *, prefix: str, training_job: Mapping[str, Any], next_state: str) -> dict[str, State]:
    """Return the states from `Tune` to `Best trial`; they output the best trial's `artifact` and `tuning` record.

    Args:
        tuning: of the spec.
        prefix: `name_prefix`.
        training_job: CreateTrainingJob's request, of which each trial is one.
        next_state: what follows.
    """
    steps = job_steps(
        _STATES,
        "HyperParameterTuning",
        request=_request(tuning, prefix, training_job),
        output={"tuning": _search_record()},
        seconds=seconds(tuning),
        step="tuning",
        next_state=_BEST,
    )
    # SageMaker's own reason only says to look at the trials.
    failed = r'/"HyperParameterTuningJobStatus": *"Failed"/'
    steps[_STATES.refused]["Choices"].append({"Condition": f"{{% $contains($error.Cause, {failed}) %}}", "Next": _WHY})
    return steps | {_WHY: _failure_reason(), _BEST: _best(next_state)}


def seconds(tuning: Tuning) -> int:
    """Return the tuning job's longest duration."""
    return 60 * tuning.max_runtime_minutes


def _request(tuning: Tuning, prefix: str, training_job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CreateHyperParameterTuningJob request."""
    name = f"{{% $join(['{prefix}', $run, $string($attempt), $string($states.context.State.RetryCount)], '-') %}}"
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": _search(tuning),
        "TrainingJobDefinition": _trial(tuning, training_job),
    }


def _trial(tuning: Tuning, training_job: Mapping[str, Any]) -> dict[str, Any]:
    settings = {
        name: value for name, value in training_job.items() if name not in {"TrainingJobName", "HyperParameters"}
    }
    metrics = [{"Name": tuning.objective, "Regex": f"metric {tuning.objective}=({_NUMBER})"}]
    return settings | {
        "StaticHyperParameters": training_job["HyperParameters"],
        "AlgorithmSpecification": training_job["AlgorithmSpecification"] | {"MetricDefinitions": metrics},
    }


def _search(tuning: Tuning) -> dict[str, Any]:
    grid = tuning.strategy == "grid"
    trials = tuning.combinations if grid else tuning.max_jobs
    return {
        "Strategy": tuning.strategy.capitalize(),
        "HyperParameterTuningJobObjective": {
            "Type": "Minimize" if tuning.metric in LOWER_IS_BETTER else "Maximize",
            "MetricName": tuning.objective,
        },
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": trials,
            "MaxParallelTrainingJobs": min(tuning.max_parallel_jobs, trials),
            "MaxRuntimeInSeconds": seconds(tuning),
        },
        "ParameterRanges": _ranges(tuning.ranges),
        # A trial tells its number once, at its end: there is nothing to stop it by.
        "TrainingJobEarlyStoppingType": "Off",
        **({} if grid else {"RandomSeed": tuning.seed}),
    }


def _ranges(ranges: Mapping[str, Range]) -> dict[str, Any]:
    result: dict[str, list[dict[str, Any]]] = {
        f"{kind}ParameterRanges": [] for kind in ("Integer", "Continuous", "Categorical")
    }
    for name, searched in ranges.items():
        if searched.values is not None:
            values = [text(value) for value in searched.values]
            result["CategoricalParameterRanges"].append({"Name": name, "Values": values})
        else:
            kind = "Integer" if searched.integer else "Continuous"
            result[f"{kind}ParameterRanges"].append({"Name": name, **_bounds(searched)})
    return {kind: listed for kind, listed in result.items() if listed}


def _bounds(searched: Range) -> dict[str, str]:
    low, high = searched.min or 0.0, searched.max or 0.0
    bounds = [str(int(number)) if searched.integer else repr(number) for number in (low, high)]
    scale = "Logarithmic" if searched.scale == "log" else "Linear"
    return {"MinValue": bounds[0], "MaxValue": bounds[1], "ScalingType": scale}


def _search_record() -> dict[str, str]:
    """Return the ledger's record of the search, taken from the DescribeHyperParameterTuningJob response."""
    return {
        "job": "{% $states.result.HyperParameterTuningJobName %}",
        "trial": "{% [$states.result.BestTrainingJob.TrainingJobName, ''][0] %}",
        "trials": "{% $states.result.TrainingJobStatusCounters %}",
    }


def _best(next_state: str) -> State:
    """Return the state that looks up the best trial's artifact; the tuning job only names the trial."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeTrainingJob",
        "Arguments": {"TrainingJobName": "{% $states.input.tuning.trial %}"},
        "Output": {
            "artifact": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}",
            "tuning": "{% $states.input.tuning %}",
        },
        "TimeoutSeconds": _LOOKUP_SECONDS,
        "Retry": [_LOOKED_UP],
        "Catch": catch("EndFailed", step="tuning"),
        "Next": next_state,
    }


def _failure_reason() -> State:
    """Return the state that takes the first failed trial's reason as the run's."""
    name = r"""$match($error.Cause, /"HyperParameterTuningJobName": *"([^"]+)"/)[0].groups[0]"""
    reason = "[$states.result.TrainingJobSummaries[0].FailureReason, $error.Cause][0]"
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:listTrainingJobsForHyperParameterTuningJob",
        "Arguments": {
            "HyperParameterTuningJobName": f"{{% {name} %}}",
            "StatusEquals": "Failed",
            "SortBy": "CreationTime",
            "SortOrder": "Ascending",
            "MaxResults": 1,
        },
        "Assign": {"error": {"Error": "NoTrial", "Cause": f"{{% 'no trial gave a model; the first: ' & {reason} %}}"}},
        "TimeoutSeconds": _LOOKUP_SECONDS,
        "Retry": [_LOOKED_UP],
        # Then the tuning job's own reason, which the variable still holds, is the run's.
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "EndFailed"}],
        "Next": "EndFailed",
    }
