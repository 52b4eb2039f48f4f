"""Step Functions executions act as their state machine's role.

MiniStack runs every task as root, so a state machine without the permission for a task would pass here and fail in an
account. Here each task's call is checked against the role, and is made with the role's identity.
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

# Optimised integrations whose call needs another permission than their name says, and the member that names the
# resource.
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
    """The task that this thread works for."""

    execution: Json
    role: str
    deadline: float


_task: ContextVar[_Task | None] = ContextVar("penstock_task", default=None)


def install() -> None:
    """Wrap the places where MiniStack's Step Functions makes calls."""
    stepfunctions._execute_task = _noting_the_task(stepfunctions._execute_task)
    stepfunctions._invoke_resource = _checking(stepfunctions._invoke_resource)
    stepfunctions._invoke_with_callback = _checking(stepfunctions._invoke_with_callback)
    app.call_service_handler_sync = _as_the_role(app.call_service_handler_sync)


def task_is_over() -> bool:
    """Say whether the execution was stopped, or the task's time is up, while the task still works."""
    task = _task.get()
    return task is not None and (task.execution["status"] != "RUNNING" or time.monotonic() > task.deadline)


def role_key() -> str:
    """Return an access key of a session of the state machine's role."""
    task = _task.get()
    return _session(task) if task else "test"


def check_permission(service: str, operation: str, request: Json, *, failure: str) -> None:
    """Check that the role may make a call that an integration makes without a request.

    Raises:
        _ExecutionError: named `failure`, with IAM's sentence as its cause.
    """
    headers = {"x-amz-target": f"{service}.{operation}"}
    _check(f"{service}:{operation}", service, _resource(service, "/", headers, json.dumps(request).encode()), failure)


def _noting_the_task(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(state: Json, given: Any, execution: Json, context: Json) -> Any:
        # An item of a Distributed Map is an execution of its own, of `<machine>/<label>`, in the machine's role.
        own = str(execution.get("stateMachineArn")).partition("/")[0]
        machine = stepfunctions._state_machines.get(own) or {}
        seconds = state.get("TimeoutSeconds")
        deadline = time.monotonic() + seconds if isinstance(seconds, int | float) else float("inf")
        token = _task.set(_Task(execution, machine.get("roleArn", ""), deadline))
        try:
            return original(state, given, execution, context)
        finally:
            _task.reset(token)

    return execute


def _checking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Check the calls that MiniStack makes without a request: Lambda and the optimised integrations."""

    def invoke(resource: str, given: Any, *rest: Any) -> Any:
        plain = resource.replace(".waitForTaskToken", "").replace(".sync", "")
        function = _function(plain, given)
        if function:
            _check("lambda:InvokeFunction", "lambda", function, "Lambda.AWSLambdaException")
        elif plain in _OPTIMISED:
            service, operation, failure = _OPTIMISED[plain]
            check_permission(service, operation, given, failure=failure)
        elif plain.startswith("arn:aws:states:::states:startExecution"):
            machine = given.get("StateMachineArn", "*")
            _check("states:StartExecution", "states", machine, "StepFunctions.AWSStepFunctionsException")
        return original(resource, given, *rest)

    return invoke


def _function(resource: str, given: Any) -> str:
    """Return the ARN of the function that a task invokes, or an empty text for another kind of task."""
    if "states:::lambda:invoke" in resource:
        named = str(given.get("FunctionName", ""))
        qualifier = given.get("Qualifier")
        suffix = f":{qualifier}" if qualifier else ""
    else:
        named, suffix = stepfunctions._extract_lambda_ref(resource) or "", ""
    if not named or named.startswith("arn:"):
        return named + (suffix if named else "")
    return f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{named}{suffix}"


def _as_the_role(original: Callable[..., Any]) -> Callable[..., Any]:
    """Check and sign the requests of `aws-sdk` integrations with the role in place of root."""

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
                    _resource(service, path, headers, data, method, query),
                    f"{prefix}.{prefix}Exception",
                )
            signed = headers["authorization"].replace("Credential=test/", f"Credential={_session(task)}/")
            headers = {**headers, "authorization": signed}
        return original(handler, method, path, headers, body, query, timeout)

    return call


def _resource(
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
    """Register the session of the role for this execution, and return its access key."""
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
