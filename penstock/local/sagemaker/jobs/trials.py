"""The trials of a tuning job: the training jobs that it makes, what each came to, and which is the best.

Everything is read off the training jobs' own records, so that what a tuning job says of its trials cannot differ.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from penstock.local.sagemaker.core.record_store import Record
from penstock.local.sagemaker.jobs.base import UNDER_WAY

_COUNTED = {
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
    """Those of one tuning job."""

    tuning: Record
    jobs: dict[str, Record]
    """Every training job, by name."""

    def summaries(self) -> list[Record]:
        """Each trial as SageMaker tells of it, in the order they were made."""
        return [self._summary(name, tuned) for name, tuned in self.tuning["_trials"].items() if name in self.jobs]

    def under_way(self) -> list[str]:
        """The names of those that have not ended."""
        return [item["TrainingJobName"] for item in self.summaries() if item["TrainingJobStatus"] in UNDER_WAY]

    def counters(self) -> Record:
        """What Describe says of all of them: counts and the best one."""
        found = self.summaries()
        statuses = [_COUNTED[item["TrainingJobStatus"]] for item in found]
        counted = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
        objectives = [item["ObjectiveStatus"] for item in found]
        return {
            "TrainingJobStatusCounters": {name: statuses.count(name) for name in counted},
            "ObjectiveStatusCounters": {name: objectives.count(name) for name in ("Succeeded", "Pending", "Failed")},
            **({"BestTrainingJob": best} if (best := self.best()) else {}),
        }

    def best(self) -> Record | None:
        """The completed trial with the best number, of equals the first."""
        found = [item for item in self.summaries() if item["ObjectiveStatus"] == "Succeeded"]
        if not found:
            return None
        sign = 1 if self._objective["Type"] == "Minimize" else -1
        return min(found, key=lambda item: sign * objective_value(item))

    @property
    def _objective(self) -> dict[str, str]:
        found: dict[str, str] = self.tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        return found

    def _summary(self, name: str, tuned: dict[str, str]) -> Record:
        job = self.jobs[name]
        told = {member: job[member] for member in _COPIED if job.get(member) is not None}
        metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
        value = metrics.get(self._objective["MetricName"])
        return {
            **told,
            "TunedHyperParameters": tuned,
            "ObjectiveStatus": _objective_status(job["TrainingJobStatus"], value),
            **(
                {}
                if value is None
                else {"FinalHyperParameterTuningJobObjectiveMetric": self._objective | {"Value": value}}
            ),
        }


def objective_value(summary: Record) -> float:
    """A trial's number."""
    return float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def _objective_status(status: str, value: float | None) -> str:
    if status in UNDER_WAY:
        return "Pending"
    return "Succeeded" if status == "Completed" and value is not None else "Failed"


def trial_request(tuning: Record, number: int, tuned: dict[str, str]) -> dict[str, Any]:
    """CreateTrainingJob's request for a trial; `number` counts from 1."""
    definition, name = tuning["TrainingJobDefinition"], tuning["HyperParameterTuningJobName"]
    suffix = hashlib.sha256(f"{name}-{number}".encode()).hexdigest()[:8]
    return {
        **{member: definition[member] for member in _OF_A_JOB if definition.get(member) is not None},
        "TrainingJobName": f"{name}-{number:03d}-{suffix}",
        "HyperParameters": {**definition.get("StaticHyperParameters", {}), **tuned},
        "ResourceConfig": definition.get("ResourceConfig") or definition.get("HyperParameterTuningResourceConfig", {}),
    }
