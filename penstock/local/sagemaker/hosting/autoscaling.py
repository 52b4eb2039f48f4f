"""Application Auto Scaling for endpoints: check and store targets and policies, without scaling anything.

A variant is one process here, whatever its number of instances, so there is nothing to scale. But a stack that deploys
to AWS deploys here too, and errors in it are found.
"""

import asyncio
import copy
import hashlib
import logging
import re
import uuid
from collections.abc import Callable

from ministack.core.responses import get_account_id, get_region

from penstock.local.sagemaker.core.caller import now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.hosting.endpoints import Endpoints
from penstock.local.sagemaker.protocol import json_protocol as wire
from penstock.local.sagemaker.protocol import request_validation as validation
from penstock.local.sagemaker.protocol.api_model import operation_model
from penstock.local.sagemaker.protocol.errors import SageMakerError
from penstock.local.sagemaker.protocol.errors import validation as invalid

SERVICE = "application-autoscaling"
TARGET = "AnyScaleFrontendService"
_VARIANT = re.compile(r"sagemaker:variant:DesiredInstanceCount endpoint/([^/]+)/variant/([^/]+)")
_CONFIGURATIONS = {
    "StepScaling": "StepScalingPolicyConfiguration",
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
}
_log = logging.getLogger(__name__)


def resource_arn(target: str) -> str:
    """Return the ARN that IAM checks for a request with this `X-Amz-Target`; `*` for a listing."""
    return "*" if ".Describe" in target else _arn("scalable-target/*")


class AutoScaling:
    """The operations on scalable targets and scaling policies, for `ServiceNamespace` sagemaker. Lists are one page."""

    def __init__(self, store: Store, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints
        self.operations: dict[str, Callable[[Record], Record]] = {
            "RegisterScalableTarget": self.register,
            "DescribeScalableTargets": self.describe_targets,
            "DeregisterScalableTarget": self.deregister,
            "PutScalingPolicy": self.put_policy,
            "DescribeScalingPolicies": self.describe_policies,
            "DeleteScalingPolicy": self.delete_policy,
        }

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes | str, query: dict[str, list[str]]
    ) -> wire.Response:
        """Answer a request in the JSON 1.1 protocol."""
        del method, path, query
        return await asyncio.to_thread(self._answer, headers.get("x-amz-target", "").rpartition(".")[2], body)

    def _answer(self, name: str, body: bytes | str) -> wire.Response:
        try:
            return wire.response(200, self.call(name, wire.parse_body(body)))
        except SageMakerError as error:
            return wire.error_response(error)
        except Exception as error:
            _log.exception("%s.%s failed", SERVICE, name)
            return wire.fault_response(error)

    def call(self, name: str, request: Record) -> Record:
        """Call an operation.

        Raises:
            SageMakerError: the request is refused, with AWS's code for why.
        """
        model, operation = operation_model(name, SERVICE), self.operations.get(name)
        if model is None or operation is None:
            available = ", ".join(sorted(self.operations))
            raise SageMakerError(
                "UnknownOperationException", f"{name} is not available on the laptop cloud. It has: {available}."
            )
        validation.check(request, model.input_shape)
        if request["ServiceNamespace"] != "sagemaker":
            raise invalid("The laptop cloud has scalable targets of ServiceNamespace sagemaker only.")
        with self._store.lock:
            response = operation(request)
            if not name.startswith("Describe"):
                self._store.save()
        return response

    def register(self, request: Record) -> Record:
        """Register a target of an existing variant, or change one."""
        self._check_resource(request)
        key = _key(request)
        previous = self._store.scalable_targets.get(key, {})
        record = {**previous, **{name: value for name, value in request.items() if name != "Tags"}}
        if missing := [name for name in ("MinCapacity", "MaxCapacity") if name not in record]:
            raise invalid(f"{missing[0]} is required to register a new scalable target.")
        if record["MinCapacity"] > record["MaxCapacity"]:
            raise invalid("Maximum capacity cannot be less than minimum capacity.")
        record.setdefault("CreationTime", now())
        record.setdefault("RoleARN", _service_role())
        record.setdefault("SuspendedState", {})
        record["ScalableTargetARN"] = _arn(f"scalable-target/{hashlib.sha256(key.encode()).hexdigest()[:36]}")
        self._store.scalable_targets[key] = record
        return {"ScalableTargetARN": record["ScalableTargetARN"]}

    def describe_targets(self, request: Record) -> Record:
        """List targets."""
        resources = request.get("ResourceIds")
        records = [
            record
            for record in self._store.scalable_targets.values()
            if (resources is None or record["ResourceId"] in resources) and _matches_dimension(record, request)
        ]
        return {"ScalableTargets": copy.deepcopy(records)}

    def deregister(self, request: Record) -> Record:
        """Delete a target and its policies."""
        self._target(request)
        del self._store.scalable_targets[_key(request)]
        for name in [name for name in self._store.scaling_policies if name.startswith(f"{_key(request)}|")]:
            del self._store.scaling_policies[name]
        return {}

    def put_policy(self, request: Record) -> Record:
        """Store a policy of a target, or change one. AWS creates alarms for it, which would have no data here."""
        self._target(request)
        kind = request.get("PolicyType", "StepScaling")
        if kind not in _CONFIGURATIONS:
            raise invalid(f"PolicyType {kind} is not available for sagemaker: {', '.join(_CONFIGURATIONS)}.")
        if _CONFIGURATIONS[kind] not in request:
            raise invalid(f"{_CONFIGURATIONS[kind]} is required for a policy of type {kind}.")
        key = f"{_key(request)}|{request['PolicyName']}"
        previous = self._store.scaling_policies.get(key, {})
        place = f"resource/sagemaker/{request['ResourceId']}:policyName/{request['PolicyName']}"
        new_arn = f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{uuid.uuid4()}:{place}"
        record = {
            **copy.deepcopy(request),
            "PolicyType": kind,
            "PolicyARN": previous.get("PolicyARN", new_arn),
            "CreationTime": previous.get("CreationTime", now()),
            "Alarms": [],
        }
        self._store.scaling_policies[key] = record
        return {"PolicyARN": record["PolicyARN"], "Alarms": []}

    def describe_policies(self, request: Record) -> Record:
        """List policies."""
        names, resource = request.get("PolicyNames"), request.get("ResourceId")
        records = [
            record
            for record in self._store.scaling_policies.values()
            if (names is None or record["PolicyName"] in names)
            and resource in (None, record["ResourceId"])
            and _matches_dimension(record, request)
        ]
        return {"ScalingPolicies": copy.deepcopy(records)}

    def delete_policy(self, request: Record) -> Record:
        """Delete a policy."""
        key = f"{_key(request)}|{request['PolicyName']}"
        if key not in self._store.scaling_policies:
            raise _not_found("No scaling policy found", request)
        del self._store.scaling_policies[key]
        return {}

    def _target(self, request: Record) -> Record:
        if _key(request) not in self._store.scalable_targets:
            raise _not_found("No scalable target found", request)
        return self._store.scalable_targets[_key(request)]

    def _check_resource(self, request: Record) -> None:
        resource = f"{request['ScalableDimension']} {request['ResourceId']}"
        match = _VARIANT.fullmatch(resource)
        if match is None:
            raise invalid(
                "The laptop cloud has endpoint/<name>/variant/<name> of sagemaker:variant:DesiredInstanceCount only."
            )
        variants = [item["VariantName"] for item in self._endpoints.find(match[1])["ProductionVariants"]]
        if match[2] not in variants:
            raise invalid(f"Endpoint {match[1]} has no variant {match[2]}; it has {', '.join(variants)}.")


def _key(request: Record) -> str:
    return f"{request['ServiceNamespace']}|{request['ResourceId']}|{request['ScalableDimension']}"


def _matches_dimension(record: Record, request: Record) -> bool:
    return request.get("ScalableDimension") in (None, record["ScalableDimension"])


def _arn(resource: str) -> str:
    return f"arn:aws:{SERVICE}:{get_region()}:{get_account_id()}:{resource}"


def _service_role() -> str:
    name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    return (
        f"arn:aws:iam::{get_account_id()}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/{name}"
    )


def _not_found(problem: str, request: Record) -> SageMakerError:
    message = (
        f"{problem} for service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}"
    )
    return SageMakerError("ObjectNotFoundException", message)
