"""SageMaker's integrations with Step Functions: `sagemaker:create…Job`, with and without `.sync`, and `aws-sdk`.

A `.sync` task waits for the job's end. A job that does not complete fails the task with `States.TaskFailed`, with the
job's description as JSON in the cause. When the execution is stopped or the task times out, the job is stopped.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import time
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

from penstock.local.patches import step_functions_roles as roles
from penstock.local.sagemaker.core.caller import caller_with_key
from penstock.local.sagemaker.core.events import epoch_milliseconds
from penstock.local.sagemaker.hosting import autoscaling
from penstock.local.sagemaker.integration.service import SageMaker
from penstock.local.sagemaker.jobs.base import UNDER_WAY, Jobs
from penstock.local.sagemaker.protocol.errors import SageMakerError

Integration = Callable[[str, dict[str, Any]], dict[str, Any]]
_PREFIX = "arn:aws:states:::sagemaker:create"
_POLL = 0.1
_UNNAMED = (
    "ValidationException", "AccessDeniedException", "UnknownOperationException", "SerializationException",
    "InternalFailure",
)  # fmt: skip
_NAMES = {
    **{code: f"{code}Exception" for code in ("ResourceNotFound", "ResourceInUse", "ResourceLimitExceeded")},
    **dict.fromkeys(_UNNAMED, "SageMakerException"),
}
"""An error's name in `aws-sdk` tasks: the class in the SDK for Java, which has none of its own for the unnamed."""


def install(sagemaker: SageMaker) -> None:
    """Register the integrations in MiniStack."""
    for jobs in (sagemaker.training, sagemaker.processing, sagemaker.tuning):
        stepfunctions._SERVICE_DISPATCH[f"{_PREFIX}{jobs.kind}Job"] = _integration(sagemaker, jobs)
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": "SageMaker", "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES["sagemaker"] = _NAMES
    service = {"target_prefix": autoscaling.TARGET, "protocol": "json", "service_key": autoscaling.SERVICE}
    stepfunctions._AWS_SDK_SERVICE_MAP["applicationautoscaling"] = service
    for name in ("applicationautoscaling", autoscaling.SERVICE):
        stepfunctions._AWS_SDK_ERROR_PREFIX[name] = "ApplicationAutoScaling"


def _integration(sagemaker: SageMaker, jobs: Jobs) -> Integration:
    def run(resource: str, request: dict[str, Any]) -> dict[str, Any]:
        response = _create(sagemaker, jobs, request)
        if ".sync" not in resource:
            return response
        return _wait(sagemaker, jobs, request[f"{jobs.kind}JobName"])

    return run


def _create(sagemaker: SageMaker, jobs: Jobs, request: dict[str, Any]) -> dict[str, Any]:
    operation = f"Create{jobs.kind}Job"
    roles.check_permission("sagemaker", operation, request, failure="SageMaker.AmazonSageMakerException")
    try:
        return sagemaker.call(operation, request, caller_with_key(roles.role_key()))
    except SageMakerError as error:
        # The optimised integration has names for few codes, and one for all others.
        name = "ResourceInUseException" if error.code == "ResourceInUse" else "AmazonSageMakerException"
        raise stepfunctions._ExecutionError(f"SageMaker.{name}", f"{error.message} ({error.code})") from None


def _wait(sagemaker: SageMaker, jobs: Jobs, name: str) -> dict[str, Any]:
    caller = caller_with_key(roles.role_key())
    while jobs.status(name) in UNDER_WAY:
        if roles.task_has_ended() and jobs.status(name) == "InProgress":
            sagemaker.call(f"Stop{jobs.kind}Job", {f"{jobs.kind}JobName": name}, caller)
        time.sleep(_POLL)
    description: dict[str, Any] = epoch_milliseconds(
        sagemaker.call(f"Describe{jobs.kind}Job", {f"{jobs.kind}JobName": name}, caller)
    )
    if description[f"{jobs.kind}JobStatus"] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(description))
    return description
