"""States that run a SageMaker job: start it, wait for capacity and retry, explain any other ending."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from infra.constructs.base.state_language import State, catch, retry

CAPACITY_WAIT_SECONDS, CAPACITY_ATTEMPTS = 300, 6
MARGIN_SECONDS = 3600
"""Time that a state waits for a job beyond the job's own limit."""
JOB_NAME = "{% $join([$job.name, $string($attempt), $string($states.context.State.RetryCount)], '-') %}"
"""SageMaker accepts a job name only once, so each attempt has its own."""
_KIND_WORDS = {"Training": "training", "Processing": "processing", "HyperParameterTuning": "tuning"}
_OWN_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[5-9].*|gr\d.*|p[4-9].*|trn.*)\.")
"""Instance types with local disks, encrypted by hardware; SageMaker refuses a volume key for them."""


@dataclass(frozen=True, kw_only=True)
class JobStates:
    """Names of the states."""

    run: str
    refused: str
    wait: str
    status: str
    stopped: str


def job_steps(
    names: JobStates,
    kind: Literal["Training", "Processing", "HyperParameterTuning"],
    *,
    request: Mapping[str, Any],
    output: Mapping[str, Any],
    seconds: int,
    step: str,
    next_state: str,
) -> dict[str, State]:
    """Return the states of one job; they use the variables `job` and `attempt`, and fail to `EndFailed`.

    Args:
        names: of the states.
        kind: of the job.
        request: what it is created with; `JOB_NAME` as its name.
        output: what goes on to the next state, beside `status`.
        seconds: how long the job may take.
        step: its name in the sentence of a run that failed.
        next_state: what follows a job that completed.
    """
    no_job: State = catch(names.refused, step=step)[0] | {"ErrorEquals": ["States.TaskFailed"]}
    was_stopped = f'/"{kind}JobStatus": *"Stopped"/'
    return {
        names.run: {
            "Type": "Task",
            "Resource": f"arn:aws:states:::sagemaker:create{kind}Job.sync",
            "Arguments": dict(request),
            "Output": {"status": f"{{% $states.result.{kind}JobStatus %}}", **output},
            "TimeoutSeconds": seconds + MARGIN_SECONDS,
            "Retry": [
                # Throttling and the account's limit on instances; a job that failed is States.TaskFailed, not this.
                retry(
                    ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"],
                    seconds=5,
                    attempts=4,
                    most_seconds=300,
                )
            ],
            "Catch": [no_job, *catch("EndFailed", step=step)],
            "Next": names.status,
        },
        names.refused: {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $contains($error.Cause, /CapacityError|InternalServerError/) "
                    f"and $attempt < {CAPACITY_ATTEMPTS} %}}",
                    "Next": names.wait,
                },
                {"Condition": f"{{% $contains($error.Cause, {was_stopped}) %}}", "Next": names.stopped},
            ],
            "Default": "EndFailed",
        },
        names.wait: {
            "Type": "Wait",
            "Seconds": CAPACITY_WAIT_SECONDS,
            "Assign": {"attempt": "{% $attempt + 1 %}"},
            "Next": names.run,
        },
        # A job that was stopped has not failed, and has not done its work either.
        names.status: {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.status = 'Completed' %}", "Next": next_state}],
            "Default": names.stopped,
        },
        names.stopped: {
            "Type": "Pass",
            "Assign": {
                "step": step,
                "error": {
                    "Error": "Stopped",
                    "Cause": f"the {_KIND_WORDS[kind]} job was stopped, by hand or at the end of its time",
                },
            },
            "Next": "EndFailed",
        },
    }


def volume_key(instance_type: str, key: str) -> dict[str, str]:
    """Return the volume key setting of an instance type; empty where SageMaker accepts none."""
    return {} if _OWN_DISK.match(instance_type) else {"VolumeKmsKeyId": key}
