"""Hangs SageMaker into MiniStack's tables: its router, its IAM, Step Functions and CloudFormation."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router

from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.features import runtime as feature_runtime
from penstock.local.sagemaker.hosting import autoscaling as scaling
from penstock.local.sagemaker.hosting import runtime
from penstock.local.sagemaker.integration import cloudformation_feature_group as cloudformation_features
from penstock.local.sagemaker.integration import cloudformation_package_group as cloudformation
from penstock.local.sagemaker.integration import step_functions as stepfunctions
from penstock.local.sagemaker.integration.service import SageMaker

# Which member of a request names the resource that IAM checks, and that resource's kind in its ARN.
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

_LISTS_OF_ONE = ("ListTags", "ListModelPackages", "ListTrainingJobsForHyperParameterTuningJob")
"""Lists that IAM checks for the resource whose they are."""


def install(settings: JobSettings) -> SageMaker:
    """Install SageMaker before the server runs, and return it."""
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
    iam_actions.extract_iam_action = _with_invocations(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _with_sagemaker(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _with_approval(iam_actions.request_tag_context)
    iam_evaluator._resource_policy = _with_groups(iam_evaluator._resource_policy, sagemaker)
    _install_scaling(sagemaker)
    stepfunctions.install(sagemaker)
    cloudformation.install(sagemaker)
    cloudformation_features.install(sagemaker)
    return sagemaker


def _install_scaling(sagemaker: SageMaker) -> None:
    """Application Auto Scaling, whose state is kept with SageMaker's."""
    handler = scaling.Scaling(sagemaker.store, sagemaker.endpoints)
    app.SERVICE_HANDLERS[scaling.SERVICE] = handler.handle_request
    router.SERVICE_PATTERNS[scaling.SERVICE] = {
        "target_prefixes": [f"{scaling.TARGET}."],
        "host_patterns": [r"application-autoscaling\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[scaling.SERVICE] = scaling.SERVICE


def _with_approval(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Teach MiniStack's IAM the condition key of an approval; a condition `…IfExists` would pass without it."""

    def context(service: str, action: str, body: bytes | str, *arguments: Any) -> dict[str, Any]:
        found = original(service, action, body, *arguments)
        status = _json(body).get("ModelApprovalStatus") if service == "sagemaker" else None
        return {**found, "sagemaker:ModelApprovalStatus": status} if isinstance(status, str) else found

    return context


def _with_groups(
    original: Callable[[str, str], tuple[Any, ...] | None], sagemaker: SageMaker
) -> Callable[[str, str], tuple[Any, ...] | None]:
    """Have a model package group's policy count for its versions, as it does on AWS."""

    def policy(service: str, resource: str) -> tuple[Any, ...] | None:
        kind, _, name = resource.rpartition(":")[2].partition("/")
        if service != "sagemaker" or kind not in {"model-package", "model-package-group"}:
            return original(service, resource)
        account, group = resource.split(":")[4], name.partition("/")[0]
        prefix = resource[: resource.rindex(":")]
        found = sagemaker.store.policies.get(f"{prefix}:model-package-group/{group}")
        return None if found is None else (found, account)

    return policy


def _with_invocations(original: Callable[..., str | None]) -> Callable[..., str | None]:
    """An invocation is one whatever its body says; MiniStack would take a form's `Action` for the action."""

    def action(service: str, method: str, path: str, headers: dict[str, str], *rest: Any) -> str | None:
        invoked = runtime.operation_of(method, path) if service == "sagemaker" else None
        if invoked is None or "x-amz-target" in headers:
            return original(service, method, path, headers, *rest)
        return f"sagemaker:{invoked[0]}"

    return action


def _with_sagemaker(original: Callable[..., str]) -> Callable[..., str]:
    """Teach MiniStack's IAM which resource a SageMaker request is about."""

    def extract(service: str, *arguments: Any) -> str:
        if service == scaling.SERVICE:
            return scaling.resource_arn(arguments[2].get("x-amz-target", ""))
        if service != "sagemaker":
            return original(service, *arguments)
        method, path, headers, body, query, region, account = arguments
        if "x-amz-target" not in headers and (invoked := runtime.operation_of(method, path)):
            return f"arn:aws:sagemaker:{region}:{account}:endpoint/{invoked[1]}"
        if record := feature_runtime.operation_of(method, path):
            request = feature_runtime.request_of(path, query, _json(body))
            # Of several groups in one batch the runtime checks each.
            first = next(iter(request.get("Identifiers") or [request]))
            return resource_arn(record, first if isinstance(first, dict) else {}, region, account)
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        return resource_arn(operation, _json(body), region, account)

    return extract


def resource_arn(operation: str, request: dict[str, Any], region: str, account: str) -> str:
    """Return the ARN that IAM checks for a request, "*" where the operation takes no resource."""
    if operation.startswith("List") and operation not in _LISTS_OF_ONE:
        return "*"
    named = request.get("ModelPackageArn") or request.get("ResourceArn")
    if isinstance(named, str):
        return named
    prefix = f"arn:aws:sagemaker:{region}:{account}"
    if operation == "CreateModelPackage" and "ModelPackageGroupName" in request:
        # AWS checks the version that will be; which one that is, no policy can know.
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
