"""The limits of a tuning job on the laptop cloud, with fake training jobs."""

import os
from pathlib import Path
from typing import Any, cast

import pytest

from penstock.local.host.home import CloudHome
from penstock.local.sagemaker.core.record_store import Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.jobs.base import INTERRUPTED, JobFailure, JobQueue, Run
from penstock.local.sagemaker.jobs.training import TrainingJobs
from penstock.local.sagemaker.jobs.tuning import TuningJobs


class EndlessTraining:
    """Training jobs that run until they are stopped."""

    def __init__(self) -> None:
        self.table: dict[str, dict[str, Any]] = {}
        self.peak = 0

    def submit(self, request: dict[str, Any], **members: object) -> dict[str, Any]:
        self.table[request["TrainingJobName"]] = {**request, "TrainingJobStatus": "InProgress", **members}
        self.peak = max(self.peak, [job["TrainingJobStatus"] for job in self.table.values()].count("InProgress"))
        return {}

    def status(self, name: str) -> str:
        return str(self.table[name]["TrainingJobStatus"])

    def stop(self, request: dict[str, Any], _: object) -> dict[str, Any]:
        self.table[request["TrainingJobName"]]["TrainingJobStatus"] = "Stopped"
        return {}


def record(parallel: int, seconds: int) -> dict[str, Any]:
    values = [str(number) for number in range(30)]
    return {
        "HyperParameterTuningJobName": "t",
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/t",
        "HyperParameterTuningJobStatus": "InProgress",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"},
            "ResourceLimits": {"MaxParallelTrainingJobs": parallel, "MaxRuntimeInSeconds": seconds},
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "a", "Values": values}]},
        },
        "TrainingJobDefinition": {"AlgorithmSpecification": {}, "RoleArn": "r", "OutputDataConfig": {}},
        "_trials": {},
    }


@pytest.fixture
def training() -> EndlessTraining:
    return EndlessTraining()


@pytest.fixture
def jobs(tmp_path: Path, training: EndlessTraining) -> TuningJobs:
    store = Store(tmp_path / "sagemaker.json")
    settings = JobSettings(CloudHome(tmp_path), port=1)
    return TuningJobs(store, Tags(store), settings, JobQueue(0), cast("TrainingJobs", training))


def test_a_search_beyond_its_time_limit_is_stopped_with_its_trials(jobs: TuningJobs, training: EndlessTraining) -> None:
    # Given a search whose time limit passes after its first trials
    run = Run("t", record(parallel=25, seconds=0))
    # When it runs
    jobs.execute(run)
    # Then it and its trials are stopped, and no more trials ran at once than the machine has cores
    assert run.record["HyperParameterTuningJobStatus"] == "Stopped"
    assert training.peak == min(25, os.cpu_count() or 1)
    assert {job["TrainingJobStatus"] for job in training.table.values()} == {"Stopped"}
    assert run.record["TrainingJobStatusCounters"]["Stopped"] == training.peak


def test_a_search_interrupted_by_the_clouds_stop_says_so(jobs: TuningJobs) -> None:
    # Given a search, and a cloud that stops
    run = Run("t", record(parallel=1, seconds=9), interrupted=True)
    run.stop.set()
    # Then its reason is the stop of the cloud, not its trials
    with pytest.raises(JobFailure, match=INTERRUPTED[:20]):
        jobs.execute(run)
