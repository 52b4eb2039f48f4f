"""Who calls, and the scope of the account that the call is for."""

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
    """The identity behind a request: its ARN and principal id as AWS shows them, and the key it signed with."""

    arn: str
    principal_id: str
    access_key: str

    def iam_identity(self) -> dict[str, dict[str, str]]:
        """Return the caller as SageMaker's `UserContext` shows it."""
        return {"IamIdentity": {"Arn": self.arn, "PrincipalId": self.principal_id}}


def caller_of(headers: dict[str, str], query: dict[str, list[str]]) -> Caller:
    """Resolve the caller of a request by its access key, as MiniStack does."""
    return caller_with_key(extract_access_key_id(headers, query) or "")


def caller_with_key(access_key: str) -> Caller:
    """Resolve an access key to the IAM user, the assumed role or the root behind it."""
    identity = iam_evaluator.resolve_caller_identity(access_key or "test") or {}
    return Caller(identity.get("userArn", ""), identity.get("userId", ""), access_key)


def arn(resource: str) -> str:
    """Return the ARN of a SageMaker resource in the account and region of the present request."""
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{resource}"


@contextlib.contextmanager
def account_scope() -> Iterator[None]:
    """Work outside a request in the cloud's one account and region."""
    with request_scope(ACCOUNT, REGION):
        yield


def now() -> float:
    """Return the time as SageMaker's JSON protocol has it: seconds, to the millisecond."""
    return round(time.time(), 3)
