"""Keyed hashes that stand for personal values, so that rows of one subject can be joined and nobody can try values.

The key is a secret of the stage's model, which CloudFormation makes at deployment where the contract has a hashed
column. The predict function imports this only for a model that has one.
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
"""A function has ten seconds to start in, and a model file to load besides."""


class Pseudonyms:
    """Values as hashes under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_secret(cls, arn: str) -> Self:
        """With the key that a secret holds.

        Raises:
            ClientError, BotoCoreError: it cannot be read.
        """
        client: Any = boto3.client("secretsmanager", config=PATIENCE)
        return cls(client.get_secret_value(SecretId=arn)["SecretString"].encode())

    def of(self, column: str, value: Value) -> str:
        """HMAC-SHA-256 (64 hex digits) of a column's value: the same value in another column is another hash."""
        return hmac.new(self._key, f"{column}\0{text(value)}".encode(), hashlib.sha256).hexdigest()


def text(value: Value) -> str:
    """A value as its one text, whichever file or request it came in: 7.0 is "7"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
