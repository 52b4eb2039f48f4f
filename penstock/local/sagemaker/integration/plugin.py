"""Registers SageMaker in MiniStack: router, IAM, Step Functions and CloudFormation."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router

from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.features import runtime as feature_runtime
from penstock.local.sagemaker.hosting import autoscaling, runtime
from penstock.local.sagemaker.integration import cloudformation_feature_group as cloudformation_features
from penstock.local.sagemaker.integration import cloudformation_package_group as cloudformation
from penstock.local.sagemaker.integration import step_functions as stepfunctions
from penstock.local.sagemaker.integration.service import SageMaker

# Members of requests that name the resource which IAM checks, each with the resource's type in its ARN.
_RESOURCES = {
    "ModelPackageGroupName": "model-package-group",
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "ModelPackageName": "model-package",
    "FeatureGroupName": "feature-group",
    "ModelName": "model",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
}

_LISTS_OF_A_RESOURCE = ("ListTags", "ListModelPackages", "ListTrainingJobsForHyperParameterTuningJob")
"""List operations that IAM checks on one resource."""


def install(settings: JobSettings) -> SageMaker:
    """Register SageMaker before the server runs, and return it."""
    sagemaker = SageMaker(settings)
    app.SERVICE_REGISTRY["sagemaker"] = {"module": "sagemaker"}
    app.SERVICE_HANDLERS["sagemaker"] = sagemaker.handle_request
    app._state_map["sagemaker"] = "sagemaker"
    app._loaded_modules["sagemaker"] = sagemaker
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"api\.sagemaker\.", r"featurestore-runtime\.sagemaker\.", r"runtime\.sagemaker\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    iam_actions._BOTOCORE_SERVICE_MAP["sagemaker"] = [feature_runtime.SERVICE, runtime.SERVICE]
    iam_actions.extract_iam_action = _with_runtime_action(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _with_sagemaker_arn(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _with_approval_condition(iam_actions.request_tag_context)
    iam_evaluator._resource_policy = _with_group_policies(iam_evaluator._resource_policy, sagemaker)
    _install_scaling(sagemaker)
    stepfunctions.install(sagemaker)
    cloudformation.install(sagemaker)
    cloudformation_features.install(sagemaker)
    return sagemaker


def _install_scaling(sagemaker: SageMaker) -> None:
    """Register Application Auto Scaling, whose state is saved with SageMaker's."""
    handler = autoscaling.AutoScaling(sagemaker.store, sagemaker.endpoints)
    app.SERVICE_HANDLERS[autoscaling.SERVICE] = handler.handle_request
    router.SERVICE_PATTERNS[autoscaling.SERVICE] = {
        "target_prefixes": [f"{autoscaling.TARGET}."],
        "host_patterns": [r"application-autoscaling\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[autoscaling.SERVICE] = autoscaling.SERVICE


def _with_approval_condition(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Add the condition key of an approval to MiniStack's IAM; without it, an `…IfExists` condition would pass."""

    def context(service: str, action: str, body: bytes | str, *arguments: Any) -> dict[str, Any]:
        conditions = original(service, action, body, *arguments)
        status = _json(body).get("ModelApprovalStatus") if service == "sagemaker" else None
        return {**conditions, "sagemaker:ModelApprovalStatus": status} if isinstance(status, str) else conditions

    return context


def _with_group_policies(
    original: Callable[[str, str], tuple[Any, ...] | None], sagemaker: SageMaker
) -> Callable[[str, str], tuple[Any, ...] | None]:
    """Apply a model package group's policy to its versions, as on AWS."""

    def policy(service: str, resource: str) -> tuple[Any, ...] | None:
        kind, _, name = resource.rpartition(":")[2].partition("/")
        if service != "sagemaker" or kind not in {"model-package", "model-package-group"}:
            return original(service, resource)
        account, group = resource.split(":")[4], name.partition("/")[0]
        prefix = resource[: resource.rindex(":")]
        document = sagemaker.store.policies.get(f"{prefix}:model-package-group/{group}")
        return None if document is None else (document, account)

    return policy


def _with_runtime_action(original: Callable[..., str | None]) -> Callable[..., str | None]:
    """Derive an invocation's action from its path; MiniStack would read `Action` from a form in its body."""

    def action(service: str, method: str, path: str, headers: dict[str, str], *rest: Any) -> str | None:
        invocation = runtime.operation_of(method, path) if service == "sagemaker" else None
        if invocation is None or "x-amz-target" in headers:
            return original(service, method, path, headers, *rest)
        return f"sagemaker:{invocation[0]}"

    return action


def _with_sagemaker_arn(original: Callable[..., str]) -> Callable[..., str]:
    """Derive the resource of a SageMaker request for MiniStack's IAM."""

    def extract(service: str, *arguments: Any) -> str:
        if service == autoscaling.SERVICE:
            return autoscaling.resource_arn(arguments[2].get("x-amz-target", ""))
        if service != "sagemaker":
            return original(service, *arguments)
        method, path, headers, body, query, region, account = arguments
        if "x-amz-target" not in headers and (invocation := runtime.operation_of(method, path)):
            return f"arn:aws:sagemaker:{region}:{account}:endpoint/{invocation[1]}"
        if operation := feature_runtime.operation_of(method, path):
            request = feature_runtime.request_of(path, query, _json(body))
            # The first group of a batch; the runtime checks each of them.
            first = next(iter(request.get("Identifiers") or [request]))
            return resource_arn(operation, first if isinstance(first, dict) else {}, region, account)
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        return resource_arn(operation, _json(body), region, account)

    return extract


def resource_arn(operation: str, request: dict[str, Any], region: str, account: str) -> str:
    """Return the ARN that IAM checks for a request, "*" where the operation takes no resource."""
    if operation.startswith("List") and operation not in _LISTS_OF_A_RESOURCE:
        return "*"
    arn = request.get("ModelPackageArn") or request.get("ResourceArn")
    if isinstance(arn, str):
        return arn
    prefix = f"arn:aws:sagemaker:{region}:{account}"
    if operation == "CreateModelPackage" and "ModelPackageGroupName" in request:
        # AWS checks the ARN of the new version, whose number no policy can name.
        return f"{prefix}:model-package/{str(request['ModelPackageGroupName']).rsplit('/', 1)[-1]}/*"
    for member, kind in _RESOURCES.items():
        value = request.get(member)
        if isinstance(value, str):
            return value if value.startswith("arn:") else f"{prefix}:{kind}/{value}"
    return "*"


def _json(body: bytes | str) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
