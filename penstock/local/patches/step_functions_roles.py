"""Patch of MiniStack's Step Functions: executions act as their state machine's role.

MiniStack runs every task as root, so a state machine that lacks a permission would pass here and fail in an account.
With the patch, each task's call is checked against the role and made with the role's identity.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import hashlib
import json
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, stepfunctions, sts

Json = dict[str, Any]

# Optimised integrations: the service and operation whose permission they need, and the error of a denial.
_OPTIMISED = {
    "arn:aws:states:::sqs:sendMessage": ("sqs", "SendMessage", "SQS.AmazonSQSException"),
    "arn:aws:states:::sns:publish": ("sns", "Publish", "SNS.AmazonSNSException"),
    "arn:aws:states:::events:putEvents": ("events", "PutEvents", "EventBridge.EventBridgeException"),
    "arn:aws:states:::dynamodb:putItem": ("dynamodb", "PutItem", "DynamoDB.AmazonDynamoDBException"),
    "arn:aws:states:::dynamodb:getItem": ("dynamodb", "GetItem", "DynamoDB.AmazonDynamoDBException"),
    "arn:aws:states:::dynamodb:updateItem": ("dynamodb", "UpdateItem", "DynamoDB.AmazonDynamoDBException"),
    "arn:aws:states:::dynamodb:deleteItem": ("dynamodb", "DeleteItem", "DynamoDB.AmazonDynamoDBException"),
}


@dataclass(frozen=True)
class _Task:
    """The task that the present thread runs."""

    execution: Json
    role: str
    deadline: float


_task: ContextVar[_Task | None] = ContextVar("penstock_task", default=None)


def install() -> None:
    """Install the patches of this module."""
    stepfunctions._execute_task = _recording_task(stepfunctions._execute_task)
    stepfunctions._invoke_resource = _with_permission_check(stepfunctions._invoke_resource)
    stepfunctions._invoke_with_callback = _with_permission_check(stepfunctions._invoke_with_callback)
    app.call_service_handler_sync = _signing_as_role(app.call_service_handler_sync)


def task_has_ended() -> bool:
    """Return whether the execution was stopped, or the task's time-out has passed, while its call still runs."""
    task = _task.get()
    return task is not None and (task.execution["status"] != "RUNNING" or time.monotonic() > task.deadline)


def role_key() -> str:
    """Return the access key of a session of the state machine's role; outside a task, the root key."""
    task = _task.get()
    return _session(task) if task else "test"


def check_permission(service: str, operation: str, request: Json, *, failure: str) -> None:
    """Check that the role may make a call that an integration makes without a signed request.

    Raises:
        _ExecutionError: its name is `failure`, its cause IAM's message.
    """
    headers = {"x-amz-target": f"{service}.{operation}"}
    resource = _resource_arn(service, "/", headers, json.dumps(request).encode())
    _check(f"{service}:{operation}", service, resource, failure)


def _recording_task(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(state: Json, data: Any, execution: Json, context: Json) -> Any:
        # An item of a Distributed Map is an execution of `<machine>/<label>`, and has the machine's role.
        machine_arn = str(execution.get("stateMachineArn")).partition("/")[0]
        machine = stepfunctions._state_machines.get(machine_arn) or {}
        seconds = state.get("TimeoutSeconds")
        deadline = time.monotonic() + seconds if isinstance(seconds, int | float) else float("inf")
        token = _task.set(_Task(execution, machine.get("roleArn", ""), deadline))
        try:
            return original(state, data, execution, context)
        finally:
            _task.reset(token)

    return execute


def _with_permission_check(original: Callable[..., Any]) -> Callable[..., Any]:
    """Check the calls that MiniStack makes without a signed request: Lambda and the optimised integrations."""

    def invoke(resource: str, data: Any, *rest: Any) -> Any:
        plain = resource.replace(".waitForTaskToken", "").replace(".sync", "")
        function = _function_arn(plain, data)
        if function:
            _check("lambda:InvokeFunction", "lambda", function, "Lambda.AWSLambdaException")
        elif plain in _OPTIMISED:
            service, operation, failure = _OPTIMISED[plain]
            check_permission(service, operation, data, failure=failure)
        elif plain.startswith("arn:aws:states:::states:startExecution"):
            machine = data.get("StateMachineArn", "*")
            _check("states:StartExecution", "states", machine, "StepFunctions.AWSStepFunctionsException")
        return original(resource, data, *rest)

    return invoke


def _function_arn(resource: str, data: Any) -> str:
    """Return the ARN of the function that a task invokes; empty for another kind of task."""
    if "states:::lambda:invoke" in resource:
        function = str(data.get("FunctionName", ""))
        qualifier = data.get("Qualifier")
        suffix = f":{qualifier}" if qualifier else ""
    else:
        function, suffix = stepfunctions._extract_lambda_ref(resource) or "", ""
    if not function or function.startswith("arn:"):
        return function + (suffix if function else "")
    return f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{function}{suffix}"


def _signing_as_role(original: Callable[..., Any]) -> Callable[..., Any]:
    """Check the requests of `aws-sdk` integrations against the role, and sign them with its key instead of root's."""

    def call(
        handler: Any, method: str, path: str, headers: dict[str, str], body: Any, query: Json, timeout: Any = None
    ) -> Any:
        task = _task.get()
        if task is not None and "authorization" in headers:
            service = headers["authorization"].split("/")[3]
            data = body.encode() if isinstance(body, str) else body
            action = iam_actions.extract_iam_action(service, method, path, headers, data, query)
            if action:
                prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize())
                _check(
                    action,
                    service,
                    _resource_arn(service, path, headers, data, method, query),
                    f"{prefix}.{prefix}Exception",
                )
            authorization = headers["authorization"].replace("Credential=test/", f"Credential={_session(task)}/")
            headers = {**headers, "authorization": authorization}
        return original(handler, method, path, headers, body, query, timeout)

    return call


def _resource_arn(
    service: str, path: str, headers: dict[str, str], body: bytes, method: str = "POST", query: Json | None = None
) -> str:
    parameters = app._routing_params(method, path, headers, body, query or {})
    return str(
        iam_actions.extract_resource_arn(
            service, method, path, headers, body, parameters, get_region(), get_account_id()
        )
    )


def _check(action: str, service: str, resource: str, failure: str) -> None:
    task = _task.get()
    if task is None:
        return
    denied = iam_evaluator.enforce(_session(task), action, service, get_region(), resource_arn=resource)
    if denied is not None:
        identity = sts._sessions[_session(task)]["Arn"]
        cause = (
            f"User: {identity} is not authorized to perform: {action} on resource: {resource} because no "
            f"identity-based policy allows the {action} action"
        )
        raise stepfunctions._ExecutionError(failure, cause)


def _session(task: _Task) -> str:
    """Register a session of the role for the execution, unless there is one, and return its access key."""
    name = task.role.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"{task.role}:{task.execution['executionArn']}".encode()).hexdigest()
    key = f"ASIA{digest[:16].upper()}"
    if key not in sts._sessions:
        session_name = str(task.execution["name"])[:64]
        role = iam._roles.get(name) or {}
        session = {
            "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{name}/{session_name}",
            "UserId": f"{role.get('RoleId', name)}:{session_name}",
            "SecretAccessKey": digest,
            "SessionToken": digest,
            "Expiration": time.time() + 12 * 3600,
        }
        sts.register_session(key, session)
    return key
