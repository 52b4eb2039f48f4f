"""The trials of a tuning job: its training jobs, their objective values, and the best of them.

Everything is derived from the training jobs' records, so that a tuning job never contradicts them.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from penstock.local.sagemaker.core.record_store import Record
from penstock.local.sagemaker.jobs.base import UNDER_WAY

_COUNTERS = {
    "Completed": "Completed", "InProgress": "InProgress", "Stopping": "InProgress",
    "Failed": "NonRetryableError", "Stopped": "Stopped",
}  # fmt: skip
_COPIED = (
    "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime", "TrainingJobStatus",
    "FailureReason",
)  # fmt: skip
_OF_A_JOB = (
    "AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig",
    "Environment", "RetryStrategy",
)  # fmt: skip


@dataclass(frozen=True)
class Trials:
    """The trials of one tuning job."""

    tuning: Record
    jobs: dict[str, Record]
    """Every training job, by name."""

    def summaries(self) -> list[Record]:
        """Return a summary of each trial as in SageMaker's listing, in order of creation."""
        return [self._summary(name, tuned) for name, tuned in self.tuning["_trials"].items() if name in self.jobs]

    def unfinished(self) -> list[str]:
        """Return the names of the trials that have not ended."""
        return [item["TrainingJobName"] for item in self.summaries() if item["TrainingJobStatus"] in UNDER_WAY]

    def counters(self) -> Record:
        """Return the members of Describe about all trials: counts, and the best one."""
        summaries = self.summaries()
        statuses = [_COUNTERS[item["TrainingJobStatus"]] for item in summaries]
        counters = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
        objectives = [item["ObjectiveStatus"] for item in summaries]
        return {
            "TrainingJobStatusCounters": {name: statuses.count(name) for name in counters},
            "ObjectiveStatusCounters": {name: objectives.count(name) for name in ("Succeeded", "Pending", "Failed")},
            **({"BestTrainingJob": best} if (best := self.best()) else {}),
        }

    def best(self) -> Record | None:
        """Return the completed trial with the best value, the first of equals."""
        candidates = [item for item in self.summaries() if item["ObjectiveStatus"] == "Succeeded"]
        if not candidates:
            return None
        sign = 1 if self._objective["Type"] == "Minimize" else -1
        return min(candidates, key=lambda item: sign * objective_value(item))

    @property
    def _objective(self) -> dict[str, str]:
        objective: dict[str, str] = self.tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        return objective

    def _summary(self, name: str, tuned: dict[str, str]) -> Record:
        job = self.jobs[name]
        members = {member: job[member] for member in _COPIED if job.get(member) is not None}
        metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
        value = metrics.get(self._objective["MetricName"])
        return {
            **members,
            "TunedHyperParameters": tuned,
            "ObjectiveStatus": _objective_status(job["TrainingJobStatus"], value),
            **(
                {}
                if value is None
                else {"FinalHyperParameterTuningJobObjectiveMetric": self._objective | {"Value": value}}
            ),
        }


def objective_value(summary: Record) -> float:
    """Return a trial's objective value."""
    return float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def _objective_status(status: str, value: float | None) -> str:
    if status in UNDER_WAY:
        return "Pending"
    return "Succeeded" if status == "Completed" and value is not None else "Failed"


def trial_request(tuning: Record, number: int, tuned: dict[str, str]) -> dict[str, Any]:
    """Build the CreateTrainingJob request of a trial; `number` counts from 1."""
    definition, name = tuning["TrainingJobDefinition"], tuning["HyperParameterTuningJobName"]
    suffix = hashlib.sha256(f"{name}-{number}".encode()).hexdigest()[:8]
    return {
        **{member: definition[member] for member in _OF_A_JOB if definition.get(member) is not None},
        "TrainingJobName": f"{name}-{number:03d}-{suffix}",
        "HyperParameters": {**definition.get("StaticHyperParameters", {}), **tuned},
        "ResourceConfig": definition.get("ResourceConfig") or definition.get("HyperParameterTuningResourceConfig", {}),
    }
