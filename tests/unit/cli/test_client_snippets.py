"""The clients that `models show` prints: run as they are printed, against a server that looks at what it is sent."""

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
from tests.support.specs import replace_serving
from tests.support.world import MODEL, World
from tests.unit.cli.test_cli import URL, project, stack, stage  # noqa: F401 - fixtures

INSTANCE = {"dest": 'O\'Hare "$X"', "hour": 3, "late": True, "wind": None}
TOKENS = '\nserving: {auth: {jwt: {issuer: "https://id.example.com", audience: [a]}}}\n'


class Door(BaseHTTPRequestHandler):
    """Keeps what it was asked."""

    asked: ClassVar[list[tuple[dict[str, str], Any]]]

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        self.asked.append((headers, json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"predictions": []}')

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        pass


@pytest.fixture
def door() -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """An address, and what was asked there."""

    class Own(Door):
        asked: ClassVar[list[tuple[dict[str, str], Any]]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/predict", Own.asked
        server.shutdown()
        thread.join()


@pytest.fixture
def target(stage: World, project: Path) -> Target:  # noqa: F811
    return Target(project, "dev", MODEL)


@pytest.fixture
def by_token(target: Target) -> Target:
    path = target.root / "training" / "models" / MODEL / "model.yaml"
    replace_serving(path, TOKENS)
    return target


def ran(command: list[str], **variables: str) -> str:
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def clients(target: Target, url: str) -> list[list[str]]:
    """Both, at another address."""
    program, line = python_client(target, INSTANCE), curl_command(target, INSTANCE)
    assert program.count(URL) == line.count(URL) == 1
    return [[sys.executable, "-c", program.replace(URL, url)], ["bash", "-c", line.replace(URL, url) + " -s"]]


def test_both_sign_as_they_are_printed(target: Target, door: tuple[str, list[tuple[dict[str, str], Any]]]) -> None:
    # Given the printed clients, and credentials in the environment
    url, asked = door
    # When they run
    said = [
        ran(command, AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_SESSION_TOKEN="session")
        for command in clients(target, url)
    ]
    # Then both send the instance, signed for the service, session token included
    assert [body for _, body in asked] == [{"instances": [INSTANCE]}] * 2
    for headers, _ in asked:
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
        assert "/us-east-1/execute-api/aws4_request" in headers["authorization"]
        assert (headers["content-type"], headers["x-amz-security-token"]) == ("application/json", "session")
    assert [text.replace("'", '"').strip() for text in said] == ['{"predictions": []}'] * 2
    assert "export-credentials" in environment_hint(target)


def test_both_show_a_token_where_the_api_takes_tokens(
    by_token: Target, door: tuple[str, list[tuple[dict[str, str], Any]]]
) -> None:
    # Given a specification that asks for tokens
    url, asked = door
    # When the printed clients run with one
    for command in clients(by_token, url):
        ran(command, PENSTOCK_TOKEN="abc")
    # Then they show it, and sign nothing
    assert [headers["authorization"] for headers, _ in asked] == ["Bearer abc"] * 2
    assert [body for _, body in asked] == [{"instances": [INSTANCE]}] * 2
    assert "botocore" not in python_client(by_token, INSTANCE)
    assert "PENSTOCK_TOKEN" in environment_hint(by_token)


def test_predict_says_which_variable_wants_the_token(by_token: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_TOKEN", raising=False)
    with pytest.raises(AnswerError, match="put one into PENSTOCK_TOKEN"):
        ApiClient(by_token).post(b"{}")


def test_the_document_is_beside_the_route(target: Target) -> None:
    assert openapi_url(target) == URL.replace("/predict", "/openapi.json")
