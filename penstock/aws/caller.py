"""The identity of this process, as AWS has it."""

from typing import Any

import boto3


def caller_arn() -> str:
    """Return the ARN of the identity whose credentials are in use; the call needs no permission."""
    client: Any = boto3.client("sts")
    return str(client.get_caller_identity()["Arn"])
