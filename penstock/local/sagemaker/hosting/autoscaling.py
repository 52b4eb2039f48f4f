"""Application Auto Scaling for endpoints: targets and policies are checked and kept, and scale nothing.

A variant is one process here, however many instances it has (`hosting`), so there is nothing to scale. What deploys
with AWS deploys here all the same, and a mistake in it shows.
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
    """The ARN that IAM checks for a request with this `X-Amz-Target`; a listing takes no resource."""
    return "*" if ".Describe" in target else _arn("scalable-target/*")


class Scaling:
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
    ) -> wire.Answer:
        """Answer a request in the JSON 1.1 protocol."""
        del method, path, query
        return await asyncio.to_thread(self._answer, headers.get("x-amz-target", "").rpartition(".")[2], body)

    def _answer(self, name: str, body: bytes | str) -> wire.Answer:
        try:
            return wire.answer(200, self.call(name, wire.parsed(body)))
        except SageMakerError as error:
            return wire.refusal(error)
        except Exception as error:
            _log.exception("%s.%s failed", SERVICE, name)
            return wire.failure(error)

    def call(self, name: str, request: Record) -> Record:
        """Do one operation.

        Raises:
            SageMakerError: the request is refused, with AWS's code for why.
        """
        model, operation = operation_model(name, SERVICE), self.operations.get(name)
        if model is None or operation is None:
            known = ", ".join(sorted(self.operations))
            raise SageMakerError(
                "UnknownOperationException", f"{name} is not available on the laptop cloud. It has: {known}."
            )
        validation.check(request, model.input_shape)
        if request["ServiceNamespace"] != "sagemaker":
            raise invalid("The laptop cloud knows scalable targets of ServiceNamespace sagemaker only.")
        with self._store.lock:
            answer = operation(request)
            if not name.startswith("Describe"):
                self._store.save()
        return answer

    def register(self, request: Record) -> Record:
        """Keep a target of a variant that exists, or change one."""
        self._check_resource(request)
        key = _key(request)
        known = self._store.scalable_targets.get(key, {})
        record = {**known, **{name: value for name, value in request.items() if name != "Tags"}}
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
        wanted = request.get("ResourceIds")
        records = [
            record
            for record in self._store.scalable_targets.values()
            if (wanted is None or record["ResourceId"] in wanted) and _of_dimension(record, request)
        ]
        return {"ScalableTargets": copy.deepcopy(records)}

    def deregister(self, request: Record) -> Record:
        """Forget a target and its policies."""
        self._target(request)
        del self._store.scalable_targets[_key(request)]
        for name in [name for name in self._store.scaling_policies if name.startswith(f"{_key(request)}|")]:
            del self._store.scaling_policies[name]
        return {}

    def put_policy(self, request: Record) -> Record:
        """Keep a policy of a target, or change one. AWS makes alarms for it, which would watch nothing here."""
        self._target(request)
        kind = request.get("PolicyType", "StepScaling")
        if kind not in _CONFIGURATIONS:
            raise invalid(f"PolicyType {kind} is not available for sagemaker: {', '.join(_CONFIGURATIONS)}.")
        if _CONFIGURATIONS[kind] not in request:
            raise invalid(f"{_CONFIGURATIONS[kind]} is required for a policy of type {kind}.")
        key = f"{_key(request)}|{request['PolicyName']}"
        known = self._store.scaling_policies.get(key, {})
        place = f"resource/sagemaker/{request['ResourceId']}:policyName/{request['PolicyName']}"
        made = f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{uuid.uuid4()}:{place}"
        record = {
            **copy.deepcopy(request),
            "PolicyType": kind,
            "PolicyARN": known.get("PolicyARN", made),
            "CreationTime": known.get("CreationTime", now()),
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
            and _of_dimension(record, request)
        ]
        return {"ScalingPolicies": copy.deepcopy(records)}

    def delete_policy(self, request: Record) -> Record:
        """Forget a policy."""
        key = f"{_key(request)}|{request['PolicyName']}"
        if key not in self._store.scaling_policies:
            raise _absent("No scaling policy found", request)
        del self._store.scaling_policies[key]
        return {}

    def _target(self, request: Record) -> Record:
        if _key(request) not in self._store.scalable_targets:
            raise _absent("No scalable target found", request)
        return self._store.scalable_targets[_key(request)]

    def _check_resource(self, request: Record) -> None:
        what = f"{request['ScalableDimension']} {request['ResourceId']}"
        found = _VARIANT.fullmatch(what)
        if found is None:
            raise invalid(
                "The laptop cloud knows endpoint/<name>/variant/<name> of sagemaker:variant:DesiredInstanceCount only."
            )
        variants = [item["VariantName"] for item in self._endpoints.find(found[1])["ProductionVariants"]]
        if found[2] not in variants:
            raise invalid(f"Endpoint {found[1]} has no variant {found[2]}; it has {', '.join(variants)}.")


def _key(request: Record) -> str:
    return f"{request['ServiceNamespace']}|{request['ResourceId']}|{request['ScalableDimension']}"


def _of_dimension(record: Record, request: Record) -> bool:
    return request.get("ScalableDimension") in (None, record["ScalableDimension"])


def _arn(resource: str) -> str:
    return f"arn:aws:{SERVICE}:{get_region()}:{get_account_id()}:{resource}"


def _service_role() -> str:
    name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    return (
        f"arn:aws:iam::{get_account_id()}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/{name}"
    )


def _absent(what: str, request: Record) -> SageMakerError:
    words = (
        f"{what} for service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}"
    )
    return SageMakerError("ObjectNotFoundException", words)
