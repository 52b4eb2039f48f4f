"""Patch of MiniStack's Step Functions: run every operation of Lambda as `aws-sdk:lambda:…` task.

MiniStack supports eight operations. One of them, `GetFunctionConfiguration`, renames the environment variables as if
they were members, and `PublishVersion`, which a rollout's state machine calls, is missing. The other operations are
built from botocore's model of Lambda, so they need no list.
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
_MINISTACK_OPERATIONS = frozenset(
    {
        "GetAlias", "GetFunction", "CreateFunction", "UpdateFunctionConfiguration",
        "UpdateFunctionCode", "CreateAlias", "UpdateAlias",
    }
)  # fmt: skip


def install() -> None:
    """Install the patches of this module."""
    stepfunctions._dispatch_aws_sdk_lambda_rest = _with_all_operations(stepfunctions._dispatch_aws_sdk_lambda_rest)


def _with_all_operations(original: Callable[..., Json]) -> Callable[..., Json]:
    model = botocore.session.get_session().get_service_model("lambda")

    def dispatch(service: Json, name: str, action: str, parameters: Json) -> Json:
        operation = action[:1].upper() + action[1:]
        if operation in _MINISTACK_OPERATIONS or operation not in model.operation_names:
            return original(service, name, action, parameters)
        return _call(model.operation_model(operation), parameters or {})

    return dispatch


def _call(operation: OperationModel, parameters: Json) -> Json:
    request = _build_request(operation, parameters)
    path, _, query = str(request["url_path"]).partition("?")
    headers = {name.lower(): str(value) for name, value in request["headers"].items()}
    credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/{get_region()}/lambda/aws4_request"
    headers.update({"host": f"lambda.{get_region()}.amazonaws.com", "authorization": credential})
    query_parameters = {key: [str(value)] for key, value in (request["query_string"] or {}).items()}
    if query:
        query_parameters.update(parse_qs(query, keep_blank_values=True))
    status, response_headers, body = app.call_service_handler_sync(
        app.SERVICE_HANDLERS["lambda"], request["method"], path, headers, request["body"] or b"", query_parameters
    )
    return _parse_response(operation, status, response_headers, body)


def _build_request(operation: OperationModel, parameters: Json) -> Json:
    members = stepfunctions._sdk_json_param_value(parameters, operation.input_shape)
    try:
        request: Json = create_serializer("rest-json", include_validation=True).serialize_to_request(members, operation)
    except ParamValidationError as error:
        raise stepfunctions._ExecutionError("States.Runtime", str(error)) from None
    return request


def _parse_response(operation: OperationModel, status: int, headers: Json, body: Any) -> Json:
    data = body.encode() if isinstance(body, str) else body or b""
    response = {"status_code": status, "headers": HeadersDict(headers), "body": data}
    shape: Any = operation.output_shape  # None for an operation without output, which the parser accepts
    parsed: Json = create_parser("rest-json").parse(response, shape)
    if status >= 400:
        error = parsed.get("Error", {})
        name = stepfunctions._prefix_sdk_error("lambda", error.get("Code", "LambdaException"))
        raise stepfunctions._ExecutionError(name, error.get("Message", ""))
    parsed.pop("ResponseMetadata", None)
    return dict(stepfunctions._sdk_json_value(_plain(parsed), shape)) if shape is not None else {}


def _plain(value: Any) -> Any:
    """Convert times and bytes to strings, which JSON has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode() if isinstance(value, bytes) else value
