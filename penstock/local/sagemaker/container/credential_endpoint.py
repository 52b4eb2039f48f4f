"""Container credentials that are renewed while a container runs, as on AWS.

An endpoint's process outlives every session of a role. AWS gives its containers an address where every SDK requests new
credentials before the old ones expire (`AWS_CONTAINER_CREDENTIALS_FULL_URI`). Here it is a server on 127.0.0.1, which
requires a token that only this container has.
"""

import json
import secrets
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from penstock.local.sagemaker.container import roles

LIFE_SECONDS = 3600.0
RENEW_SECONDS = 1800.0
"""Credentials with less time left are renewed; an SDK requests new ones from 15 minutes before the end."""


class CredentialEndpoint:
    """Serves containers the credentials of their roles."""

    def __init__(self, life: float = LIFE_SECONDS) -> None:
        """Set the lifetime of the credentials in seconds."""
        self._life = life
        self._roles: dict[str, str] = {}
        self._credentials: dict[str, roles.Credentials] = {}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def register(self, role_arn: str) -> tuple[str, dict[str, str]]:
        """Register a container; return its token, and the environment variables for its SDK."""
        token = secrets.token_hex(24)
        with self._lock:
            self._roles[token] = role_arn
            port = self._listen()
        address = f"http://127.0.0.1:{port}/credentials"
        return token, {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": address,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def unregister(self, token: str) -> None:
        """Remove a container's token, and end its session."""
        with self._lock:
            self._roles.pop(token, None)
            if credentials := self._credentials.pop(token, None):
                roles.end_session(credentials)

    def credentials(self, token: str) -> dict[str, str] | None:
        """Return the response document for a container, its credentials renewed in time; None for an unknown token."""
        with self._lock:
            role = self._roles.get(token)
            if role is None:
                return None
            current = self._credentials.get(token)
            if current is None or (current.expires or 0) - time.time() < RENEW_SECONDS:
                current = self._credentials[token] = roles.assume(role, "SageMaker", self._life)
        expiration = datetime.fromtimestamp(current.expires or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "RoleArn": role,
            "AccessKeyId": current.access_key,
            "SecretAccessKey": current.secret_key,
            "Token": current.token,
            "Expiration": expiration,
        }

    def _listen(self) -> int:
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
            threading.Thread(target=self._server.serve_forever, name="sagemaker-credentials", daemon=True).start()
        return self._server.server_port

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = endpoint.credentials(self.headers.get("Authorization", ""))
                body = json.dumps(document or {"code": "AccessDenied", "message": "unknown token"}).encode()
                self.send_response(200 if document else 403)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Suppress access logs."""

        return Handler
