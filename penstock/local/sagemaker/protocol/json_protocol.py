"""The JSON 1.1 protocol of SageMaker and Application Auto Scaling: a body in, an answer out."""

import json
from typing import Any

from penstock.local.sagemaker.protocol.errors import SageMakerError

Record = dict[str, Any]

Answer = tuple[int, dict[str, str], bytes]


def parsed(body: bytes | str) -> Record:
    """A request's members.

    Raises:
        SageMakerError: `SerializationException`, the body is no JSON object.
    """
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise SageMakerError("SerializationException", "The request body is not JSON.") from None
    if not isinstance(found, dict):
        raise SageMakerError("SerializationException", "The request body is not a JSON object.")
    return found


def answer(status: int, content: Record) -> Answer:
    """An answer of this content."""
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()


def refusal(error: SageMakerError) -> Answer:
    """An answer that refuses."""
    return answer(error.status, {"__type": error.code, "message": error.message})


def failure(error: Exception) -> Answer:
    """An answer for a fault of the cloud's own."""
    return answer(500, {"__type": "InternalFailure", "message": f"{type(error).__name__}: {error}"})
