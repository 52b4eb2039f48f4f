"""Who this process is to AWS."""

from typing import Any

import boto3


def caller() -> str:
    """ARN of the identity whose credentials are in use, as AWS tells it; it needs no permission."""
    client: Any = boto3.client("sts")
    return str(client.get_caller_identity()["Arn"])
