"""Execution roles: check iam:PassRole, and open sessions with the permissions of a role."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import secrets
import time
from dataclasses import dataclass

from ministack.core import iam_evaluator
from ministack.services import iam, sts

from penstock.local.host.cloud import ACCOUNT, REGION
from penstock.local.sagemaker.core.caller import Caller, account_scope
from penstock.local.sagemaker.protocol.errors import SageMakerError, validation

SERVICE = "sagemaker.amazonaws.com"


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of an assumed role."""

    access_key: str
    secret_key: str
    token: str
    expires: float | None = None
    """Epoch seconds; None if the session has no end of its own."""

    def as_environment(self) -> dict[str, str]:
        """Return the environment variables that every SDK reads."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.token,
        }


def check_pass_role(caller: Caller, role_arn: str) -> None:
    """Check that the caller may pass the role to SageMaker, and that SageMaker may assume it.

    Raises:
        SageMakerError: `AccessDeniedException` or `ValidationException`, as on AWS.
    """
    denied = iam_evaluator.enforce(
        caller.access_key,
        "iam:PassRole",
        "iam",
        REGION,
        resource_arn=role_arn,
        service_context={"iam:PassedToService": SERVICE},
    )
    if denied is not None:
        raise SageMakerError("AccessDeniedException", _pass_role_denial(caller.arn, role_arn))
    if not _trusts(role_arn, SERVICE):
        raise validation(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal '{SERVICE}' "
            "to assume the role."
        )


def _pass_role_denial(caller_arn: str, role_arn: str) -> str:
    """Word a denied iam:PassRole as AWS does."""
    return (
        f"User: {caller_arn} is not authorized to perform: iam:PassRole on resource: {role_arn} because no "
        "identity-based policy allows the iam:PassRole action"
    )


def assume(role_arn: str, session_name: str, seconds: float | None = None) -> Credentials:
    """Open a session of the role, for a time or until `end_session`; the role's policies apply to its calls."""
    name = role_arn.rsplit("/", 1)[-1]
    key, expires = f"ASIA{secrets.token_hex(8).upper()}", None if seconds is None else time.time() + seconds
    credentials = Credentials(key, secrets.token_hex(20), secrets.token_hex(32), expires)
    with account_scope():
        role = iam._roles.get(name) or {}
        session = {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session_name}",
            "UserId": f"{role.get('RoleId', name)}:{session_name}",
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.token,
            **({} if expires is None else {"Expiration": expires}),
        }
        sts.register_session(credentials.access_key, session)
    return credentials


def end_session(credentials: Credentials) -> None:
    """End a session."""
    sts._sessions.pop(credentials.access_key, None)


def _trusts(role_arn: str, service: str) -> bool:
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None:
        return False
    document = role.get("AssumeRolePolicyDocument", "{}")
    parsed = json.loads(document) if isinstance(document, str) else document
    statements = parsed.get("Statement", [])
    return any(_allows(item, service) for item in (statements if isinstance(statements, list) else [statements]))


def _allows(statement: dict[str, object], service: str) -> bool:
    principal = statement.get("Principal")
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return statement.get("Effect") == "Allow" and service in ([services] if isinstance(services, str) else services)
