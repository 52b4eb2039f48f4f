"""States that check large uploads in a processing job; validate continues with the job's findings."""

from dataclasses import dataclass
from typing import Any

from infra.constructs.base.state_language import State, catch, invoke
from infra.constructs.pipeline.job_steps import (
    CAPACITY_ATTEMPTS,
    JOB_NAME,
    MARGIN_SECONDS,
    JobStates,
    job_steps,
    volume_key,
)
from penstock.settings import InspectSettings
from penstock.spec.model import Validating

_STATES = JobStates(
    run="Inspect",
    refused="No capacity to inspect?",
    wait="Wait to inspect",
    status="Inspected?",
    stopped="Inspection stopped",
)


@dataclass(frozen=True, kw_only=True)
class InspectionParts:
    """ARNs and names that the processing job refers to."""

    role: str
    """ARN of the job's role."""
    stage: str
    bucket: str
    """Name of the lake's bucket."""
    region: str
    validating: Validating


def longest_seconds(validating: Validating) -> int:
    """Return the longest duration in seconds, waiting for capacity included."""
    return _job_seconds(validating) * CAPACITY_ATTEMPTS + MARGIN_SECONDS


def inspection_steps(
    parts: InspectionParts, *, model: str, image: str, key: str, validate: str, seconds: int, next_state: str
) -> dict[str, State]:
    """Return the states from `Inspect` to `Validate inspected`.

    Args:
        parts: of the job.
        model: its name.
        image: URI of the image that the job runs in.
        key: ARN of the key that encrypts its disk.
        validate: ARN of the function.
        seconds: the function's timeout.
        next_state: what follows.
    """
    job = job_steps(
        _STATES,
        "Processing",
        request=_job(parts, model, image, key),
        output={},
        seconds=_job_seconds(parts.validating),
        step="inspection",
        next_state="Validate inspected",
    )
    inspected = invoke(
        validate,
        {"run": "{% $run %}", "inspected": True},
        timeout_seconds=seconds,
        attempts=1,
        caught=catch("EndFailed", step="validation"),
        assign={
            "dataset": "{% $states.result.Payload.dataset %}",
            "job": "{% $states.result.Payload.job %}",
            "attempt": 1,
        },
        next_state=next_state,
    )
    return job | {"Validate inspected": inspected}


def _job_seconds(validating: Validating) -> int:
    return 60 * validating.max_runtime_minutes


def _job(parts: InspectionParts, model: str, image: str, key: str) -> dict[str, Any]:
    """Return the CreateProcessingJob request; the job reads and writes the lake, so it is not network-isolated."""
    validating = parts.validating
    settings = InspectSettings(stage=parts.stage, model=model, bucket=parts.bucket, run="{% $run %}")
    return {
        "ProcessingJobName": JOB_NAME,
        "AppSpecification": {"ImageUri": image, "ContainerArguments": ["inspect"]},
        "Environment": settings.environment() | {"AWS_DEFAULT_REGION": parts.region},
        "RoleArn": parts.role,
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": validating.instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": validating.volume_gb,
                **volume_key(validating.instance_type, key),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": _job_seconds(validating)},
    }
