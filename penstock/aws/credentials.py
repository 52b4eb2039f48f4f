"""Who a function or a container is, without botocore: by its environment, or by the address that its runtime names.

A function with SnapStart gets no keys in its environment, because they would be older than the process that is
restored; it asks `AWS_CONTAINER_CREDENTIALS_FULL_URI`. A container of SageMaker asks the path that
`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` names. Both ask again before what they have expires.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from penstock.aws.http import Connection, HttpError
from penstock.aws.sigv4 import Credentials

EARLY = timedelta(minutes=5)
CONTAINERS = "http://169.254.170.2"
"""Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html"""
SECONDS = 1.0
"""The runtime's own address is on the same machine."""


class NoCredentialsError(Exception):
    """The environment has none, or the runtime gives none."""


class RoleCredentials:
    """The credentials of this function's role, as they are now."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._known: Credentials | None = None
        self._until = datetime.max.replace(tzinfo=UTC)

    def get(self, now: datetime) -> Credentials:
        """What to sign with.

        Raises:
            NoCredentialsError: there is nothing to sign with.
        """
        if self._known is None or now > self._until - EARLY:
            try:
                self._known = self._of_environment() or self._of_runtime()
            except NoCredentialsError:
                if self._known is None or now >= self._until:
                    raise
        return self._known

    def _of_environment(self) -> Credentials | None:
        found = [self._environ.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
        return Credentials(found[0], found[1], self._environ.get("AWS_SESSION_TOKEN", "")) if all(found) else None

    def _of_runtime(self) -> Credentials:
        relative = self._environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
        whole = f"{CONTAINERS}{relative}" if relative else self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        scheme, _, rest = whole.partition("://")
        host, _, path = rest.partition("/")
        if not host:
            raise NoCredentialsError("neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_*_URI is set")
        try:
            document = json.loads(self._asked(Connection(host, seconds=SECONDS, tls=scheme == "https"), f"/{path}"))
            found = Credentials(document["AccessKeyId"], document["SecretAccessKey"], document["Token"])
            self._until = datetime.fromisoformat(document["Expiration"])
            return found
        except (OSError, HttpError, ValueError, KeyError, TypeError) as error:
            raise NoCredentialsError(f"the runtime gives no credentials: {error!r}") from None

    def _asked(self, connection: Connection, path: str) -> bytes:
        try:
            token = self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
            return connection.ask("GET", path, {"authorization": token} if token else {}).body
        finally:
            connection.close()
