"""Credentials that do not end while a container runs: it asks for new ones, as on AWS.

An endpoint's process outlives every session of a role. AWS gives its containers an address at which every SDK asks for
credentials again before they expire (`AWS_CONTAINER_CREDENTIALS_FULL_URI`). Here it is a door on 127.0.0.1, which
opens for the token that only this container was given.
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
"""Before their end; an SDK asks from fifteen minutes before on."""


class CredentialEndpoint:
    """Answers containers with credentials of their roles."""

    def __init__(self, life: float = LIFE_SECONDS) -> None:
        """Give credentials of a life in seconds."""
        self._life = life
        self._roles: dict[str, str] = {}
        self._given: dict[str, roles.Credentials] = {}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def open(self, role_arn: str) -> tuple[str, dict[str, str]]:
        """Let a container in: its token, and the variables that lead its SDK here."""
        token = secrets.token_hex(24)
        with self._lock:
            self._roles[token] = role_arn
            port = self._listen()
        address = f"http://127.0.0.1:{port}/credentials"
        return token, {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": address,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def close(self, token: str) -> None:
        """Let a container in no more, and end its session."""
        with self._lock:
            self._roles.pop(token, None)
            if given := self._given.pop(token, None):
                roles.forget(given)

    def credentials(self, token: str) -> dict[str, str] | None:
        """What a container is answered, renewed well before its end; None for a token that nobody was given."""
        with self._lock:
            role = self._roles.get(token)
            if role is None:
                return None
            given = self._given.get(token)
            if given is None or (given.expires or 0) - time.time() < RENEW_SECONDS:
                given = self._given[token] = roles.assume(role, "SageMaker", self._life)
        expiration = datetime.fromtimestamp(given.expires or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "RoleArn": role,
            "AccessKeyId": given.access_key,
            "SecretAccessKey": given.secret_key,
            "Token": given.token,
            "Expiration": expiration,
        }

    def _listen(self) -> int:
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
            threading.Thread(target=self._server.serve_forever, name="sagemaker-credentials", daemon=True).start()
        return self._server.server_port

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = door.credentials(self.headers.get("Authorization", ""))
                body = json.dumps(found or {"code": "AccessDenied", "message": "unknown token"}).encode()
                self.send_response(200 if found else 403)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: a line a renewal tells nobody anything."""

        return Handler
