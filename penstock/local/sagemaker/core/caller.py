"""The caller of a request, and the account that a request belongs to."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.core.router import extract_access_key_id

from penstock.local.host.cloud import ACCOUNT, REGION


@dataclass(frozen=True)
class Caller:
    """The identity behind a request: ARN and principal id as AWS shows them, and the access key that signed it."""

    arn: str
    principal_id: str
    access_key: str

    def iam_identity(self) -> dict[str, dict[str, str]]:
        """Return the caller in the form of SageMaker's `UserContext`."""
        return {"IamIdentity": {"Arn": self.arn, "PrincipalId": self.principal_id}}


def caller_of(headers: dict[str, str], query: dict[str, list[str]]) -> Caller:
    """Resolve the caller of a request from its access key, as MiniStack does."""
    return caller_with_key(extract_access_key_id(headers, query) or "")


def caller_with_key(access_key: str) -> Caller:
    """Resolve an access key to its IAM user, assumed role or root."""
    identity = iam_evaluator.resolve_caller_identity(access_key or "test") or {}
    return Caller(identity.get("userArn", ""), identity.get("userId", ""), access_key)


def arn(resource: str) -> str:
    """Return the ARN of a SageMaker resource in the account and region of the present request."""
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{resource}"


@contextlib.contextmanager
def account_scope() -> Iterator[None]:
    """Set the cloud's account and region for work outside a request."""
    with request_scope(ACCOUNT, REGION):
        yield


def now() -> float:
    """Return the time as SageMaker's JSON protocol has it: seconds since 1970, rounded to milliseconds."""
    return round(time.time(), 3)
