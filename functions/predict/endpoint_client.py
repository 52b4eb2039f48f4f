"""The SageMaker endpoint that scores in this function's place: one call, and what its failures mean to a caller.

The container answers with the words of the same modules, so that a refusal reaches the caller byte for byte. Whatever
else goes wrong (no endpoint, no capacity, too slow, a container that raised) is a 503 that may be asked again.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

import json
from collections.abc import Mapping
from typing import Any

from penstock.aws.client import AwsService, CallError
from penstock.scoring.problems import RequestError

MODEL_ERROR = 424
"""What SageMaker answers where the container answered with 4xx or 5xx."""


class RefusedError(Exception):
    """The container says what is wrong with the request: status, and its problem document as it came."""

    def __init__(self, status: int, problem: bytes) -> None:
        super().__init__(status)
        self.status, self.problem = status, problem


class Endpoint:
    """One endpoint, over one kept connection."""

    def __init__(self, name: str, seconds: float, service: AwsService | None = None) -> None:
        """Nothing is asked yet.

        Args:
            name: the endpoint's.
            seconds: that it is waited for.
            service: SageMaker's runtime; made unless given.
        """
        self._path = f"/endpoints/{name}/invocations"
        self._service = service or AwsService("sagemaker", subdomain="runtime", seconds=seconds)

    def ask(self, body: bytes, *, came: str, goes: str, told: Mapping[str, str]) -> bytes:
        """The container's answer.

        Args:
            body: what it is sent.
            came: content type of that.
            goes: content type of the answer.
            told: headers with what else the container is to know (`penstock.api.sagemaker_headers.headers`).

        Raises:
            RefusedError: the container's own 4xx.
            RequestError: 503, for everything else that is no answer.
        """
        headers = {"content-type": came, "accept": goes, **told}
        try:
            reply = self._service.call("POST", self._path, headers=headers, body=body)
        except CallError as error:
            raise _unanswered(str(error)) from None
        if reply.status == MODEL_ERROR:
            raise _of_the_container(reply.body)
        if reply.status != 200:
            raise _unanswered(f"SageMaker says {reply.status} {reply.body[:300].decode(errors='replace')}")
        return reply.body

    def close(self) -> None:
        """Let the connection go; the next request makes another."""
        self._service.close()


def _of_the_container(body: bytes) -> RefusedError | RequestError:
    """The refusal in SageMaker's `ModelError`; what is none of ours is no answer."""
    about = _object(body)
    status, said = about.get("OriginalStatusCode"), str(about.get("OriginalMessage") or "")
    if isinstance(status, int) and _object(said.encode()).get("status") == status < 500:
        return RefusedError(status, said.encode())
    return _unanswered(f"the container says {status} {said[:300]}")


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unanswered(why: str) -> RequestError:
    return RequestError(503, f"the endpoint gives no answer: {why}; ask again")
