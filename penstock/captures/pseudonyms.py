"""Keyed hashes in place of personal values: rows of one subject can be joined, and values cannot be guessed and tried.

The key is a secret of the model in a stage, created by CloudFormation where the contract has a hashed column. The
predict function imports this module only for a model that has one.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

if TYPE_CHECKING:  # the monitor's bundle has no msgspec
    from penstock.scoring.signature import Value

PATIENCE = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
"""A function has ten seconds to start, and must load a model file in that time too."""


class Pseudonyms:
    """Hashes under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_secret(cls, arn: str) -> Self:
        """Read the key from a secret.

        Raises:
            ClientError, BotoCoreError: it cannot be read.
        """
        client: Any = boto3.client("secretsmanager", config=PATIENCE)
        return cls(client.get_secret_value(SecretId=arn)["SecretString"].encode())

    def of(self, column: str, value: Value) -> str:
        """Return the HMAC-SHA-256 (64 hex digits) of a column's value; in another column the same value has another."""
        return hmac.new(self._key, f"{column}\0{text(value)}".encode(), hashlib.sha256).hexdigest()


def text(value: Value) -> str:
    """Return a value as text, the same for every file format and request: 7.0 is "7"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
