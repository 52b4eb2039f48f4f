"""The client code of `models show`, run as printed against a server that records its requests."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from penstock.cli.api_client import AnswerError, ApiClient
from penstock.cli.client_snippets import curl_command, environment_hint, openapi_url, python_client
from penstock.cli.target import Target
from tests.support.command import URL
from tests.support.specs import replace_serving
from tests.support.world import MODEL, World

INSTANCE = {"dest": 'O\'Hare "$X"', "hour": 3, "late": True, "wind": None}
TOKENS = '\nserving: {auth: {jwt: {issuer: "https://id.example.com", audience: [a]}}}\n'


class RecordingHandler(BaseHTTPRequestHandler):
    """Records the headers and body of each request."""

    requests: ClassVar[list[tuple[dict[str, str], Any]]]

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        self.requests.append((headers, json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"predictions": []}')

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        pass


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """The address of a server, and the requests that it receives."""

    class Own(RecordingHandler):
        requests: ClassVar[list[tuple[dict[str, str], Any]]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/predict", Own.requests
        server.shutdown()
        thread.join()


@pytest.fixture
def target(stage: World, project: Path) -> Target:
    return Target(project, "dev", MODEL)


@pytest.fixture
def token_target(target: Target) -> Target:
    path = target.root / "training" / "models" / MODEL / "model.yaml"
    replace_serving(path, TOKENS)
    return target


def run(command: list[str], **variables: str) -> str:
    result = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def clients(target: Target, url: str) -> list[list[str]]:
    """Return both clients with another address in them."""
    program, line = python_client(target, INSTANCE), curl_command(target, INSTANCE)
    assert program.count(URL) == line.count(URL) == 1
    return [[sys.executable, "-c", program.replace(URL, url)], ["bash", "-c", line.replace(URL, url) + " -s"]]


def test_both_clients_sign_their_requests(
    target: Target, recorder: tuple[str, list[tuple[dict[str, str], Any]]]
) -> None:
    # Given the printed clients, and credentials in the environment
    url, requests = recorder
    # When they run
    outputs = [
        run(command, AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_SESSION_TOKEN="session")
        for command in clients(target, url)
    ]
    # Then both send the instance, signed for the service, session token included
    assert [body for _, body in requests] == [{"instances": [INSTANCE]}] * 2
    for headers, _ in requests:
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
        assert "/us-east-1/execute-api/aws4_request" in headers["authorization"]
        assert (headers["content-type"], headers["x-amz-security-token"]) == ("application/json", "session")
    assert [text.replace("'", '"').strip() for text in outputs] == ['{"predictions": []}'] * 2
    assert "export-credentials" in environment_hint(target)


def test_both_clients_send_a_token_where_the_api_takes_tokens(
    token_target: Target, recorder: tuple[str, list[tuple[dict[str, str], Any]]]
) -> None:
    # Given a model.yaml with token authentication
    url, requests = recorder
    # When the printed clients run with one
    for command in clients(token_target, url):
        run(command, PENSTOCK_TOKEN="abc")
    # Then they send it, and sign nothing
    assert [headers["authorization"] for headers, _ in requests] == ["Bearer abc"] * 2
    assert [body for _, body in requests] == [{"instances": [INSTANCE]}] * 2
    assert "botocore" not in python_client(token_target, INSTANCE)
    assert "PENSTOCK_TOKEN" in environment_hint(token_target)


def test_predict_names_the_variable_for_the_token(token_target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_TOKEN", raising=False)
    with pytest.raises(AnswerError, match="put one into PENSTOCK_TOKEN"):
        ApiClient(token_target).post(b"{}")


def test_the_openapi_document_is_beside_the_route(target: Target) -> None:
    assert openapi_url(target) == URL.replace("/predict", "/openapi.json")
