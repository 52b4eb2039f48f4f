"""`sagemaker-runtime`: a request goes to the process behind an endpoint, and its answer comes back.

Each waits in a thread of its own pool: while a model answers, the cloud's event loop and its other threads work on.
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
from urllib3.exceptions import TimeoutError as TooLate

from penstock.local.host.cloud import ACCOUNT, REGION
from penstock.local.sagemaker.hosting.endpoints import Endpoints
from penstock.local.sagemaker.hosting.variant import Variant
from penstock.local.sagemaker.protocol import request_validation as validation
from penstock.local.sagemaker.protocol.api_model import operation_model
from penstock.local.sagemaker.protocol.errors import SageMakerError
from penstock.local.sagemaker.protocol.json_protocol import Answer

SERVICE = "sagemaker-runtime"
ANSWER_SECONDS = 60.0
"""AWS waits no longer for a model."""
RETURN_SECONDS = 10.0
"""How long a request waits for a process that is being started again."""
MOST_REQUESTS = 64
"""That are under way at once; a further one waits."""
_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)")
_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_OWN = "x-amzn-sagemaker-"
_LATE = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """The operation and the endpoint that a request is for; None where it is none of the runtime's."""
    found = _PATH.fullmatch(path) if method == "POST" else None
    return (_OPERATIONS[found[2]], unquote(found[1])) if found else None


class ModelError(Exception):
    """The container answered with an error, or not in time."""

    def __init__(self, variant: Variant, status: int, original: str) -> None:
        super().__init__(original)
        self.log_group = variant.plan.log_group
        self.status = status
        self.original = original


class Runtime:
    """InvokeEndpoint."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._threads = ThreadPoolExecutor(MOST_REQUESTS, thread_name_prefix="sagemaker-invocation")

    async def handle(self, operation: str, endpoint: str, headers: dict[str, str], body: bytes | str) -> Answer:
        """Answer one request, as its REST protocol has it."""
        data = body.encode() if isinstance(body, str) else body
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: context.run(self._answer, operation, endpoint, headers, data)
        )

    def _answer(self, operation: str, endpoint: str, headers: dict[str, str], body: bytes) -> Answer:
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
        if f"{_OWN}inference-component" in headers:
            raise _invalid("The laptop cloud has no inference components: leave InferenceComponentName out.")
        return self._variant(record, headers.get(f"{_OWN}target-variant"))

    def _variant(self, record: Mapping[str, Any], target: str | None) -> Variant:
        endpoint = record["EndpointName"]
        variants = {variant.plan.variant: variant for variant in self._endpoints.variants(endpoint)}
        if not variants:
            raise SageMakerError("ServiceUnavailable", f"Endpoint {endpoint} is being started again.", 503)
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
    given = {name: headers[header] for name, header in names.items() if header in headers}
    validation.check({"EndpointName": endpoint, "Body": "", **given}, shape)
    if len(body) > (most := shape.members["Body"].metadata["max"]):
        raise _invalid(f"Body has {len(body)} bytes, at most {most} are taken.")


def _invoke(variant: Variant, headers: Mapping[str, str], body: bytes) -> Answer:
    if not variant.ready.wait(RETURN_SECONDS) or variant.pool is None:
        raise SageMakerError("ServiceUnavailable", f"Variant {variant.plan.variant} is being started again.", 503)
    reply = _sent(variant, variant.pool, headers, body)
    if reply.status // 100 != 2:
        raise ModelError(variant, reply.status, reply.data.decode("utf-8", "replace"))
    passed = {name.lower(): value for name, value in reply.headers.items() if name.lower().startswith(_OWN)}
    # In lower case, since MiniStack would take a `Content-Type` of JSON for its own and change it.
    kind = reply.headers.get("content-type", "application/octet-stream")
    return 200, {**passed, "content-type": kind, "x-amzn-invoked-production-variant": variant.plan.variant}, reply.data


def _sent(
    variant: Variant, pool: urllib3.HTTPConnectionPool, headers: Mapping[str, str], body: bytes
) -> urllib3.response.BaseHTTPResponse:
    passed = {
        name: value for name, value in headers.items() if name in ("content-type", "accept") or name.startswith(_OWN)
    }
    try:
        return pool.urlopen("POST", "/invocations", body, passed, timeout=urllib3.Timeout(total=ANSWER_SECONDS))
    except NewConnectionError as error:
        raise SageMakerError("ServiceUnavailable", f"The container does not listen: {error}", 503) from None
    except TooLate:
        raise ModelError(variant, 0, _LATE) from None
    except HTTPError as error:
        raise ModelError(variant, 0, f"The container ended its answer early: {error}") from None


def _model_error(error: ModelError) -> dict[str, Any]:
    """What AWS answers for a container's error."""
    group, whose = error.log_group, "client" if error.status // 100 == 4 else "server"
    console = f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#logEventViewer:group={group}"
    return {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if whose == "client" else "INTERNAL_FAILURE_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
        "Message": f'Received {whose} error ({error.status}) from primary with message "{error.original}". See '
        f"{console} in account {ACCOUNT} for more information.",
        "OriginalMessage": error.original,
        "OriginalStatusCode": error.status,
    }


def _error(status: int, code: str, content: dict[str, Any]) -> Answer:
    headers = {"content-type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps(content).encode()


def _invalid(message: str) -> SageMakerError:
    return SageMakerError("ValidationError", message)
