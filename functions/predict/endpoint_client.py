"""Invoke the SageMaker endpoint that scores in this function's place, and map its failures to responses.

The container uses the same modules, so its refusals reach the caller byte for byte. Any other failure (no endpoint, no
capacity, timeout, an exception in the container) is a 503 that the caller may retry.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

import json
from collections.abc import Mapping
from typing import Any

from penstock.aws.client import AwsService, CallError
from penstock.scoring.problems import RequestError

MODEL_ERROR = 424
"""SageMaker's status for a container's 4xx or 5xx."""


class RefusedError(Exception):
    """The container refuses the request: its status, and its problem document unchanged."""

    def __init__(self, status: int, problem: bytes) -> None:
        super().__init__(status)
        self.status, self.problem = status, problem


class Endpoint:
    """One endpoint, over a persistent connection."""

    def __init__(self, name: str, seconds: float, service: AwsService | None = None) -> None:
        """Prepare the client; connects with the first call.

        Args:
            name: of the endpoint.
            seconds: timeout.
            service: SageMaker's runtime; by default a new client.
        """
        self._path = f"/endpoints/{name}/invocations"
        self._service = service or AwsService("sagemaker", subdomain="runtime", seconds=seconds)

    def invoke(self, body: bytes, *, content_type: str, accept: str, context: Mapping[str, str]) -> bytes:
        """Return the container's response.

        Args:
            body: of the request.
            content_type: of the body.
            accept: content type of the response.
            context: headers with the request's id and query (`penstock.api.sagemaker_headers.headers`).

        Raises:
            RefusedError: the container's own 4xx.
            RequestError: 503, for every other failure.
        """
        headers = {"content-type": content_type, "accept": accept, **context}
        try:
            reply = self._service.call("POST", self._path, headers=headers, body=body)
        except CallError as error:
            raise _unavailable(str(error)) from None
        if reply.status == MODEL_ERROR:
            raise _container_error(reply.body)
        if reply.status != 200:
            raise _unavailable(f"SageMaker says {reply.status} {reply.body[:300].decode(errors='replace')}")
        return reply.body

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._service.close()


def _container_error(body: bytes) -> RefusedError | RequestError:
    """Return the refusal in SageMaker's `ModelError`; without a problem document of ours, a 503."""
    error = _parse_object(body)
    status, message = error.get("OriginalStatusCode"), str(error.get("OriginalMessage") or "")
    if isinstance(status, int) and _parse_object(message.encode()).get("status") == status < 500:
        return RefusedError(status, message.encode())
    return _unavailable(f"the container says {status} {message[:300]}")


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _unavailable(why: str) -> RequestError:
    return RequestError(503, f"the endpoint gives no answer: {why}; ask again")
