"""One published version of the predict function, asked by its number: no alias and no caller has a part in it."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MOST_BYTES = 6_000_000
"""What Lambda takes."""
BUSY = {"TooManyRequestsException", "EC2ThrottledException", "ServiceException"}
"""Lambda's own trouble, which says nothing about the version."""


@dataclass(frozen=True)
class Reply:
    """What the function returned, or raised."""

    document: dict[str, Any]
    raised: bool


class PublishedVersion:
    """One version; safe to ask from several threads."""

    def __init__(self, function: str, version: str) -> None:
        self._name = f"{function}:{version}"
        self._client: Any = boto3.client("lambda", config=Config(read_timeout=60, retries={"max_attempts": 1}))

    def ask(self, event: dict[str, Any]) -> Reply | None:
        """Its reply to an event; None where Lambda does not take it."""
        payload = json.dumps(event).encode()
        if len(payload) > MOST_BYTES:
            return None
        try:
            found = self._client.invoke(FunctionName=self._name, Payload=payload)
        except ClientError as error:
            if error.response["Error"]["Code"] in BUSY:
                return None
            raise
        return Reply(json.loads(found["Payload"].read()), raised="FunctionError" in found)
