"""Credentials of a function's or a container's role without botocore: from its environment or its runtime's address.

A function with SnapStart gets no keys in its environment, because they would be older than the process that is
restored; it asks `AWS_CONTAINER_CREDENTIALS_FULL_URI`. A container of SageMaker asks the path in
`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`. Both renew their credentials before these expire.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from penstock.aws.http import Connection, HttpError
from penstock.aws.sigv4 import Credentials

EARLY = timedelta(minutes=5)
"""Credentials are renewed so long before they expire."""
CONTAINERS = "http://169.254.170.2"
"""Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html"""
SECONDS = 1.0
"""Timeout; the runtime's address is on the same machine."""


class NoCredentialsError(Exception):
    """Neither the environment nor the runtime gives credentials."""


class RoleCredentials:
    """The current credentials of this process's role."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._current: Credentials | None = None
        self._expiry = datetime.max.replace(tzinfo=UTC)

    def get(self, now: datetime) -> Credentials:
        """Return credentials that are valid now.

        Raises:
            NoCredentialsError: there are none.
        """
        if self._current is None or now > self._expiry - EARLY:
            try:
                self._current = self._from_environment() or self._from_runtime()
            except NoCredentialsError:
                if self._current is None or now >= self._expiry:
                    raise
        return self._current

    def _from_environment(self) -> Credentials | None:
        keys = [self._environ.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
        return Credentials(keys[0], keys[1], self._environ.get("AWS_SESSION_TOKEN", "")) if all(keys) else None

    def _from_runtime(self) -> Credentials:
        relative = self._environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
        address = f"{CONTAINERS}{relative}" if relative else self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        scheme, _, rest = address.partition("://")
        host, _, path = rest.partition("/")
        if not host:
            raise NoCredentialsError("neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_*_URI is set")
        try:
            document = json.loads(self._fetch(Connection(host, seconds=SECONDS, tls=scheme == "https"), f"/{path}"))
            credentials = Credentials(document["AccessKeyId"], document["SecretAccessKey"], document["Token"])
            self._expiry = datetime.fromisoformat(document["Expiration"])
            return credentials
        except (OSError, HttpError, ValueError, KeyError, TypeError) as error:
            raise NoCredentialsError(f"the runtime gives no credentials: {error!r}") from None

    def _fetch(self, connection: Connection, path: str) -> bytes:
        try:
            token = self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
            return connection.request("GET", path, {"authorization": token} if token else {}).body
        finally:
            connection.close()
