"""The JSON 1.1 protocol of SageMaker and Application Auto Scaling: parse request bodies, build responses."""

import json
from typing import Any

from penstock.local.sagemaker.protocol.errors import SageMakerError

Record = dict[str, Any]

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


def parse_body(body: bytes | str) -> Record:
    """Return the members of a request.

    Raises:
        SageMakerError: `SerializationException`, the body is not a JSON object.
    """
    try:
        members = json.loads(body or b"{}")
    except ValueError:
        raise SageMakerError("SerializationException", "The request body is not JSON.") from None
    if not isinstance(members, dict):
        raise SageMakerError("SerializationException", "The request body is not a JSON object.")
    return members


def response(status: int, content: Record) -> Response:
    """Build a response."""
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()


def error_response(error: SageMakerError) -> Response:
    """Build the response for a refused request."""
    return response(error.status, {"__type": error.code, "message": error.message})


def fault_response(error: Exception) -> Response:
    """Build the response for a fault of the laptop cloud itself."""
    return response(500, {"__type": "InternalFailure", "message": f"{type(error).__name__}: {error}"})
