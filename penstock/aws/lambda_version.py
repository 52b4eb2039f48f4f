"""Published versions of the predict function, invoked by their number instead of the alias that callers use."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MAX_BYTES = 6_000_000
"""Of an event, as Lambda takes it."""
BUSY = {"TooManyRequestsException", "EC2ThrottledException", "ServiceException"}
"""Error codes of Lambda itself, which say nothing about the version."""


@dataclass(frozen=True)
class Reply:
    """What the function returned, or raised."""

    document: dict[str, Any]
    raised: bool


class PublishedVersions:
    """The published versions of one function; safe to use from several threads."""

    def __init__(self, function: str, *, attempts: int = 1) -> None:
        """Use one client for all of them.

        Args:
            function: its name.
            attempts: botocore's `max_attempts` for a failed call.
        """
        self._function = function
        self._client: Any = boto3.client("lambda", config=Config(read_timeout=60, retries={"max_attempts": attempts}))

    def invoke(self, version: str, event: dict[str, Any]) -> Reply:
        """Return a version's reply to an event.

        Raises:
            ClientError: Lambda does not take it.
        """
        return self._invoke(version, json.dumps(event).encode())

    def try_invoke(self, version: str, event: dict[str, Any]) -> Reply | None:
        """Return a version's reply to an event; None if the event is too large or Lambda is busy."""
        payload = json.dumps(event).encode()
        if len(payload) > MAX_BYTES:
            return None
        try:
            return self._invoke(version, payload)
        except ClientError as error:
            if error.response["Error"]["Code"] in BUSY:
                return None
            raise

    def _invoke(self, version: str, payload: bytes) -> Reply:
        response = self._client.invoke(FunctionName=f"{self._function}:{version}", Payload=payload)
        return Reply(json.loads(response["Payload"].read()), raised="FunctionError" in response)
