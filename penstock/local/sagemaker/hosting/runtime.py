"""The runtime API, `sagemaker-runtime`: pass requests to an endpoint's process, and return its responses.

Each request waits in a thread of a separate pool, so a slow model blocks neither the event loop nor other requests.
"""

import asyncio
import contextvars
import json
import random
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import urllib3
from botocore.model import StructureShape
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as RequestTimeoutError

from penstock.local.host.cloud import ACCOUNT, REGION
from penstock.local.sagemaker.hosting.endpoints import Endpoints
from penstock.local.sagemaker.hosting.variant import Variant
from penstock.local.sagemaker.protocol import request_validation as validation
from penstock.local.sagemaker.protocol.api_model import operation_model
from penstock.local.sagemaker.protocol.errors import SageMakerError
from penstock.local.sagemaker.protocol.json_protocol import Response

SERVICE = "sagemaker-runtime"
RESPONSE_SECONDS = 60.0
"""AWS's limit for the response of a model."""
RESTART_SECONDS = 10.0
"""How long a request waits for a process that is being restarted."""
MAX_REQUESTS = 64
"""Number of requests at once; further ones wait."""
_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)")
_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_HEADER_PREFIX = "x-amzn-sagemaker-"
_TIMEOUT_MESSAGE = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """Return operation and endpoint of a request; None if it is not one of this API's."""
    match = _PATH.fullmatch(path) if method == "POST" else None
    return (_OPERATIONS[match[2]], unquote(match[1])) if match else None


class ModelError(Exception):
    """The container responded with an error, or not in time."""

    def __init__(self, variant: Variant, status: int, original: str) -> None:
        super().__init__(original)
        self.log_group = variant.plan.log_group
        self.status = status
        self.original = original


class Runtime:
    """InvokeEndpoint."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._threads = ThreadPoolExecutor(MAX_REQUESTS, thread_name_prefix="sagemaker-invocation")

    async def handle(self, operation: str, endpoint: str, headers: dict[str, str], body: bytes | str) -> Response:
        """Answer a request in the REST protocol."""
        data = body.encode() if isinstance(body, str) else body
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: context.run(self._answer, operation, endpoint, headers, data)
        )

    def _answer(self, operation: str, endpoint: str, headers: dict[str, str], body: bytes) -> Response:
        try:
            _check(operation, endpoint, headers, body)
            return _invoke(self._process(endpoint, headers), headers, body)
        except SageMakerError as error:
            code = {"ValidationException": "ValidationError"}.get(error.code, error.code)
            return _error(error.status, code, {"Message": error.message})
        except ModelError as error:
            return _error(424, "ModelError", _model_error(error))

    def _process(self, endpoint: str, headers: Mapping[str, str]) -> Variant:
        """Return the process of the target variant or, without one, of a variant drawn by weight."""
        try:
            record = self._endpoints.find(endpoint)
        except SageMakerError:
            raise _invalid(f"Endpoint {endpoint} of account {ACCOUNT} not found.") from None
        if record["EndpointStatus"] not in ("InService", "Updating"):
            raise _invalid(f"Endpoint {endpoint} of account {ACCOUNT} is not in service: {record['EndpointStatus']}.")
        if f"{_HEADER_PREFIX}inference-component" in headers:
            raise _invalid("The laptop cloud has no inference components: leave InferenceComponentName out.")
        return self._variant(record, headers.get(f"{_HEADER_PREFIX}target-variant"))

    def _variant(self, record: Mapping[str, Any], target: str | None) -> Variant:
        endpoint = record["EndpointName"]
        variants = {variant.plan.variant: variant for variant in self._endpoints.variants(endpoint)}
        if not variants:
            raise SageMakerError("ServiceUnavailable", f"Endpoint {endpoint} is being restarted.", 503)
        weights = {item["VariantName"]: item["CurrentWeight"] for item in record["ProductionVariants"]}
        if target is not None:
            if target not in variants:
                raise _invalid(f"Variant {target} of endpoint {endpoint} not found.")
            return variants[target]
        shares = [weights[name] for name in variants]
        return random.choices(list(variants.values()), shares if any(shares) else None)[0]  # noqa: S311


def _check(operation: str, endpoint: str, headers: Mapping[str, str], body: bytes) -> None:
    if operation != "InvokeEndpoint":
        raise _invalid(f"{operation} is not available on the laptop cloud. It has: InvokeEndpoint.")
    model = operation_model(operation, SERVICE)
    shape = model.input_shape if model else None
    if not isinstance(shape, StructureShape):
        raise TypeError("InvokeEndpoint has no members")
    names = {name: member.serialization.get("name", "").lower() for name, member in shape.members.items()}
    members = {name: headers[header] for name, header in names.items() if header in headers}
    validation.check({"EndpointName": endpoint, "Body": "", **members}, shape)
    if len(body) > (limit := shape.members["Body"].metadata["max"]):
        raise _invalid(f"Body has {len(body)} bytes, the limit is {limit}.")


def _invoke(variant: Variant, headers: Mapping[str, str], body: bytes) -> Response:
    if not variant.ready.wait(RESTART_SECONDS) or variant.pool is None:
        raise SageMakerError("ServiceUnavailable", f"Variant {variant.plan.variant} is being restarted.", 503)
    reply = _send(variant, variant.pool, headers, body)
    if reply.status // 100 != 2:
        raise ModelError(variant, reply.status, reply.data.decode("utf-8", "replace"))
    own = {name.lower(): value for name, value in reply.headers.items() if name.lower().startswith(_HEADER_PREFIX)}
    # In lower case, since MiniStack treats a `Content-Type` of JSON as its own and changes it.
    content_type = reply.headers.get("content-type", "application/octet-stream")
    return (
        200,
        {**own, "content-type": content_type, "x-amzn-invoked-production-variant": variant.plan.variant},
        reply.data,
    )


def _send(
    variant: Variant, pool: urllib3.HTTPConnectionPool, headers: Mapping[str, str], body: bytes
) -> urllib3.response.BaseHTTPResponse:
    forwarded = {
        name: value
        for name, value in headers.items()
        if name in ("content-type", "accept") or name.startswith(_HEADER_PREFIX)
    }
    try:
        return pool.urlopen("POST", "/invocations", body, forwarded, timeout=urllib3.Timeout(total=RESPONSE_SECONDS))
    except NewConnectionError as error:
        raise SageMakerError("ServiceUnavailable", f"The container does not listen: {error}", 503) from None
    except RequestTimeoutError:
        raise ModelError(variant, 0, _TIMEOUT_MESSAGE) from None
    except HTTPError as error:
        raise ModelError(variant, 0, f"The container ended its response early: {error}") from None


def _model_error(error: ModelError) -> dict[str, Any]:
    """Return the content of AWS's response for a container's error."""
    group, side = error.log_group, "client" if error.status // 100 == 4 else "server"
    console = f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#logEventViewer:group={group}"
    return {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "INTERNAL_FAILURE_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
        "Message": f'Received {side} error ({error.status}) from primary with message "{error.original}". See '
        f"{console} in account {ACCOUNT} for more information.",
        "OriginalMessage": error.original,
        "OriginalStatusCode": error.status,
    }


def _error(status: int, code: str, content: dict[str, Any]) -> Response:
    headers = {"content-type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps(content).encode()


def _invalid(message: str) -> SageMakerError:
    return SageMakerError("ValidationError", message)
