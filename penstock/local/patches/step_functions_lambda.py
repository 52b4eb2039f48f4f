"""A mend of MiniStack's Step Functions: every operation of Lambda as `aws-sdk:lambda:…`, not eight of them.

`GetFunctionConfiguration` is among the eight, but renames the environment's variables as if they were members.

A rollout publishes a version from its state machine, which is not among the eight. Botocore's model of Lambda says how
each operation looks on the wire, so the rest need no list.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import botocore.session
from botocore.awsrequest import HeadersDict
from botocore.exceptions import ParamValidationError
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from ministack import app
from ministack.core.responses import get_region
from ministack.services import stepfunctions

Json = dict[str, Any]
_BY_MINISTACK = frozenset(
    {
        "GetAlias", "GetFunction", "CreateFunction", "UpdateFunctionConfiguration",
        "UpdateFunctionCode", "CreateAlias", "UpdateAlias",
    }
)  # fmt: skip


def install() -> None:
    """Install the mend."""
    stepfunctions._dispatch_aws_sdk_lambda_rest = _with_all_operations(stepfunctions._dispatch_aws_sdk_lambda_rest)


def _with_all_operations(original: Callable[..., Json]) -> Callable[..., Json]:
    model = botocore.session.get_session().get_service_model("lambda")

    def dispatch(service: Json, name: str, action: str, given: Json) -> Json:
        operation = action[:1].upper() + action[1:]
        if operation in _BY_MINISTACK or operation not in model.operation_names:
            return original(service, name, action, given)
        return _call(model.operation_model(operation), given or {})

    return dispatch


def _call(operation: OperationModel, given: Json) -> Json:
    request = _request(operation, given)
    path, _, query = str(request["url_path"]).partition("?")
    headers = {name.lower(): str(value) for name, value in request["headers"].items()}
    credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/{get_region()}/lambda/aws4_request"
    headers.update({"host": f"lambda.{get_region()}.amazonaws.com", "authorization": credential})
    parameters = {key: [str(value)] for key, value in (request["query_string"] or {}).items()}
    if query:
        parameters.update(parse_qs(query, keep_blank_values=True))
    status, answered, body = app.call_service_handler_sync(
        app.SERVICE_HANDLERS["lambda"], request["method"], path, headers, request["body"] or b"", parameters
    )
    return _answer(operation, status, answered, body)


def _request(operation: OperationModel, given: Json) -> Json:
    parameters = stepfunctions._sdk_json_param_value(given, operation.input_shape)
    try:
        request: Json = create_serializer("rest-json", include_validation=True).serialize_to_request(
            parameters, operation
        )
    except ParamValidationError as error:
        raise stepfunctions._ExecutionError("States.Runtime", str(error)) from None
    return request


def _answer(operation: OperationModel, status: int, headers: Json, body: Any) -> Json:
    data = body.encode() if isinstance(body, str) else body or b""
    response = {"status_code": status, "headers": HeadersDict(headers), "body": data}
    shape: Any = operation.output_shape  # None for an operation that answers nothing, which the parser takes
    parsed: Json = create_parser("rest-json").parse(response, shape)
    if status >= 400:
        error = parsed.get("Error", {})
        name = stepfunctions._prefix_sdk_error("lambda", error.get("Code", "LambdaException"))
        raise stepfunctions._ExecutionError(name, error.get("Message", ""))
    parsed.pop("ResponseMetadata", None)
    return dict(stepfunctions._sdk_json_value(_plain(parsed), shape)) if shape is not None else {}


def _plain(value: Any) -> Any:
    """Turn times and bytes into what JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode() if isinstance(value, bytes) else value
