"""The API over HTTPS on the laptop cloud: its document, its content types, its headers, and hostile input."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
import schemathesis
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from sklearn import datasets

from tests.local.conftest import free_port, until
from tests.local.stage.project import Project, copy_project
from tests.support.hostile import json_texts, naughty_strings

SERVING = "\nserving: {max_rows: 4, explain: {}}\n"
some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class Caller:
    """Signed requests over one connection, by the address and keys of the printed curl line."""

    def __init__(self, line: str) -> None:
        words = shlex.split(line)
        self.url, host = words[-1], urlsplit(words[-1])
        self._pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            host.port,
            server_hostname=host.hostname,
            assert_hostname=host.hostname,
            ca_certs=words[words.index("--cacert") + 1],
            retries=False,
        )
        region = words[words.index("--aws-sigv4") + 1].split(":")[2]
        self._signer = SigV4Auth(Credentials(*words[words.index("--user") + 1].split(":")), "execute-api", region)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> urllib3.BaseHTTPResponse:
        """Send a request; `content_type` is the header content-type."""
        url = self.url.replace("/predict", path)
        signed_headers = {name.replace("_", "-"): value for name, value in headers.items()} | {
            "Host": urlsplit(url).netloc
        }
        request = AWSRequest(method, url, data=body, headers=signed_headers)
        self._signer.add_auth(request)
        return self._pool.request(method, path, body=body, headers=dict(request.headers))

    def predict(self, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
        reply = self.ask("POST", "/predict", body, content_type=kind)
        return reply.status, reply.json() if "json" in reply.headers["content-type"] else reply.data

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self.ask("GET", "/openapi.json").json()
        return document


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose one model, of the wine data, is live."""
    project = copy_project(tmp_path_factory.mktemp("project"), free_port())
    for folder in (project.root / "training" / "models").iterdir():
        shutil.rmtree(folder)
    wine = datasets.load_wine(as_frame=True).frame
    pl.DataFrame(wine.to_dict("list")).write_csv(project.root / "wine.csv")
    project.run("init", "wine.csv", "--target", "target")
    path = project.root / "training" / "models" / "wine" / "model.yaml"
    path.write_text(path.read_text() + SERVING)
    project.run("up")
    project.run("push", "wine.csv", "--wait")
    project.run("approve", "--reason", "to be asked")
    until(lambda: project.json("models", "show")["live"] == 1, 90)
    yield project
    project.run("down")


@pytest.fixture(scope="module")
def caller(project: Project) -> Caller:
    return Caller(project.json("models", "show")["curl"])


def test_the_printed_python_client_gets_a_prediction(project: Project) -> None:
    # Given the printed program, and an environment that knows nothing of the laptop cloud
    program = project.json("models", "show")["python"]
    # When it runs
    completed = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=False)
    # Then it prints a prediction
    assert completed.returncode == 0, completed.stderr
    assert "'model': 'wine', 'version': 1" in completed.stdout


def test_the_document_is_openapi_and_names_its_security(caller: Caller) -> None:
    document = caller.document()
    validate(document)
    assert (document["info"], document["security"]) == (
        document["info"] | {"title": "wine", "version": "1"},
        [{"iam": []}],
    )
    # And its example is answered
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    for kind, about in content.items():
        example = about["examples"]["row"]["value"]
        body = example if isinstance(example, str) else json.dumps(example)
        assert caller.predict(body.encode(), kind)[0] == 200, kind


def test_a_score_is_explained_over_https(project: Project, caller: Caller) -> None:
    # Given a row, and a version whose specification asks for explanations
    content = caller.document()["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    body = json.dumps(content["examples"]["row"]["value"]).encode()
    # When it is asked for with one
    reply = caller.ask("POST", "/predict?explain=true", body, content_type="application/json").json()
    [prediction] = reply["predictions"]
    # Then what each field adds makes up the plain answer's score
    total = prediction["explanation"]["base"] + sum(prediction["explanation"]["contributions"].values())
    assert total == pytest.approx(prediction["score"])
    assert prediction["score"] == caller.predict(body)[1]["predictions"][0]["score"]
    # And the command prints it, in requests of as many rows as are explained
    answers = project.json("predict", "wine.csv", "--explain")
    assert all("explanation" in item for item in answers["predictions"])
    assert "mean of usual values" in project.run("predict", "wine.csv", "--explain").stdout


def test_an_answer_names_its_version_and_request(caller: Caller) -> None:
    example = caller.document()["paths"]["/predict"]["post"]["requestBody"]["content"]["text/csv"]["examples"]["row"]
    reply = caller.ask(
        "POST", "/predict", example["value"].encode(), content_type="text/csv", accept="application/json"
    )
    assert reply.headers["x-penstock-version"] == "1"
    assert reply.headers["x-penstock-inference-id"] == reply.json()["predictions"][0]["id"]
    assert reply.headers["x-penstock-inference-id"] == f"{reply.headers['x-request-id']}-0"
    assert caller.ask("GET", "/ping").json()["version"] == 1


def test_hostile_input_is_never_a_server_error(caller: Caller) -> None:
    # Given JSONTestSuite and the Big List of Naughty Strings
    document = caller.document()
    row = json.loads(json.dumps(document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]))
    (good,) = row["examples"]["row"]["value"]["instances"]
    valid = Draft202012Validator({"$ref": "#/components/schemas/Request", **document})
    bodies = [text.encode() for text in json_texts()]
    bodies += [
        json.dumps({"instances": [good | {name: text}]}).encode() for text in naughty_strings() for name in good
    ][::7]
    bodies += [b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b'{"instances":[{"\xff":1}]}']
    assert len(bodies) > 700
    # When they are sent
    for body in bodies:
        status, answer = caller.predict(body)
        # Then none is an error of ours, and what is answered is valid
        assert status in {200, 400, 413, 422}, (body, answer)
        assert status != 200 or valid.is_valid(json.loads(body)), body


def test_schemathesis_finds_nothing_over_https(caller: Caller) -> None:
    # Given the document, and requests that schemathesis makes of it
    document = caller.document()
    operation = schemathesis.openapi.from_dict(document)["/predict"]["POST"]
    strategies = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]
    valid, schema = (
        Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document}) for name in ("Request", "Answer")
    )

    # When they are asked, then those are answered that are valid, as the schema says
    @some
    @given(st.one_of(strategies).filter(lambda case: case.media_type == "application/json"))
    def ask(case: Any) -> None:
        body = case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode()
        status, answer = caller.predict(body)
        assert status in {200, 400, 413, 422}
        assert status == 400 or (status == 200) == valid.is_valid(json.loads(body)), answer
        if status == 200:
            schema.validate(answer)

    ask()
