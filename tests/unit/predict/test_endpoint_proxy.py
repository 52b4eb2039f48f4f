"""The predict function with an endpoint: forwarded requests, and responses equal to those of a version that scores."""

import base64
import json
from types import ModuleType
from typing import Any

import pytest

from functions.predict.endpoint_client import Endpoint
from penstock.api.sagemaker_headers import headers
from penstock.aws.client import AwsService, CallError, Reply
from penstock.aws.emf import UNANSWERED
from penstock.aws.s3_store import sha256
from penstock.scoring.problems import RequestError
from tests.support.fake_endpoint import FakeEndpoint, model_error
from tests.support.fake_runtime import FakeRuntime
from tests.support.front import Answer, serving
from tests.support.lambda_environment import running
from tests.support.tiny import GOOD, SMALLEST
from tests.support.world import World
from tests.unit.predict.test_feature_lookup import BINDING, STORED, bind
from tests.unit.predict.test_handler import request, stream

KEY = "models/m/model.onnx"


def load(world: World, data: bytes, **about: str) -> ModuleType:
    """A published version."""
    for name in ("ENDPOINT", "ENDPOINT_SECONDS"):
        world.monkeypatch.delenv(f"PENSTOCK_{name}", raising=False)
    world.store.write(KEY, data)
    return world.load("predict", version="3", model_key=KEY, model_sha256=sha256(data), max_rows="4", **about)


@pytest.fixture
def endpoint(tiny_onnx: bytes) -> FakeEndpoint:
    return FakeEndpoint(tiny_onnx)


@pytest.fixture
def front(world: World, tiny_onnx: bytes, endpoint: FakeEndpoint) -> ModuleType:
    """A version whose endpoint scores."""
    module = load(world, tiny_onnx, endpoint="dev-m--3-abc", endpoint_seconds="9")
    use_endpoint(module, endpoint)
    return module


def use_endpoint(module: ModuleType, endpoint: FakeEndpoint) -> None:
    """Give a version a fake endpoint, of the class that the cold start imported."""
    module.proxy.endpoint = type(module.proxy.endpoint)("dev-m--3-abc", 9, endpoint)


def sent(body: bytes | str, **headers: str) -> dict[str, Any]:
    """Return a request as an API Gateway event."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, str):
        return request(headers=fields, body=body)
    return request(headers=fields, body=base64.b64encode(body).decode(), isBase64Encoded=True)


ROWS = json.dumps({"instances": [GOOD, SMALLEST]})
LINES = '{"city": "JFK", "amount": 10.5}\n{"city": "LGA", "amount": 1}\n'
EVENTS = {
    "json": sent(ROWS, content_type="application/json"),
    "json without a type": sent(ROWS),
    "json in base64": sent(ROWS.encode(), Content_Type="application/json; charset=utf-8"),
    "whole numbers with a point": sent('{"instances": [{"city": "JFK", "amount": 10.0}]}'),
    "csv": sent("city,amount\nJFK,10.5\nLGA,1\n", content_type="text/csv"),
    "csv, answered as json": sent("city,amount\nJFK,10.5\n", content_type="text/csv", accept="application/json"),
    "csv without header": sent("JFK,10.5\n", content_type="text/csv; header=absent"),
    "json lines": sent(LINES, content_type="application/x-ndjson"),
    "json, answered as csv": sent(ROWS, accept="text/html;q=0.9, text/csv;q=0.8"),
    "nothing": sent(""),
    "no json": sent("{"),
    "no csv": sent('city,amount\n"JFK,1\n', content_type="text/csv"),
    "no line": sent('{"city": "JFK", "amount": 1}\n{\n', content_type="application/jsonlines"),
    "missing": sent('{"instances": [{"city": "JFK"}]}'),
    "strange": sent('{"instances": [{"city": "JFK", "amount": 1, "colour": "bläu"}]}'),
    "no number": sent('{"instances": [{"city": "JFK", "amount": NaN}]}'),
    "too many": sent(json.dumps({"instances": [SMALLEST] * 5})),
    "too long": sent(" " * 6_000_001),
    "npy": sent("a", content_type="application/x-npy"),
    "html": sent(ROWS, accept="text/html"),
    "another way": request(requestContext={"requestId": "r", "http": {"method": "GET", "path": "/predict"}}),
    "ping": request(requestContext={"requestId": "r", "http": {"method": "GET", "path": "/ping"}}),
    "document": request(requestContext={"requestId": "r", "http": {"method": "GET", "path": "/openapi.json"}}),
}


@pytest.mark.parametrize("name", EVENTS)
def test_lambda_and_endpoint_give_the_same_responses(
    world: World, tiny_onnx: bytes, front: ModuleType, name: str
) -> None:
    # Given a version that scores itself, and one of the same file whose endpoint does
    stream()
    own = load(world, tiny_onnx)
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # the file is read with the first request; boto3 must not use this address
        patch.setenv("AWS_ENDPOINT_URL_S3", world.front)
        front._load_model()
    # When both get the same request, then status, headers and body are the same, byte for byte
    expected = own.handler(EVENTS[name], None)
    assert front.handler(EVENTS[name], None) == expected
    assert expected["statusCode"] < 500


def test_a_response_beyond_lambdas_limit_is_refused_alike(world: World, tiny_onnx: bytes, front: ModuleType) -> None:
    stream()
    own = load(world, tiny_onnx)
    own.MAX_RESPONSE_BYTES = front.proxy._max_bytes = 100  # type: ignore[attr-defined]
    for name in ("json", "csv", "json lines"):
        expected = own.handler(EVENTS[name], None)
        assert (front.handler(EVENTS[name], None), expected["statusCode"]) == (expected, 413), name


def test_the_container_captures_a_request_once_and_a_smoke_test_never(
    world: World, front: ModuleType, endpoint: FakeEndpoint
) -> None:
    # Given a request, and one of a smoke test
    endpoint.captures.start()
    predictions = json.loads(front.handler(request(GOOD), None)["body"])["predictions"]
    assert front.handler(request(GOOD, smoke_test=True), None)["statusCode"] == 200
    endpoint.captures.stop()
    # Then only the first is captured, by the container, under the id of the response
    assert [line["id"] for line in endpoint.captured] == [predictions[0]["id"]] == ["JKJaXmPLvHcESHA=-0"]
    assert world.keys("captures/") == []
    # And each went to the endpoint of the version, as what it is
    path, headers, _ = endpoint.asked[0]
    assert path == "POST /endpoints/dev-m--3-abc/invocations"
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")
    assert headers["x-amzn-sagemaker-inference-id"] == "JKJaXmPLvHcESHA="


def test_a_query_beyond_sagemakers_limit_is_refused(front: ModuleType, endpoint: FakeEndpoint) -> None:
    # Given a query that is longer than what SageMaker hands on
    reply = front.handler(request(GOOD, queryStringParameters={"explain": "y" * 2000}), None)
    # Then the problem says so, and the endpoint is not called
    assert (reply["statusCode"], json.loads(reply["body"])["title"]) == (414, "URI Too Long")
    assert endpoint.asked == []


NOT_OURS: dict[str, Reply | CallError] = {
    "not there": Reply(400, b'{"Message": "Endpoint dev-m--3-abc of account 1 not found."}'),
    "throttled": Reply(429, b'{"Message": "Rate exceeded"}'),
    "no capacity": Reply(503, b'{"Message": "no instance"}'),
    "too slow": CallError("sagemaker does not answer: timed out"),
    "the container raised": model_error(500, "Internal server error"),
    "the container was too slow": model_error(0, "Your invocation timed out"),
    "a refusal that is none of ours": model_error(400, "<html>nginx</html>"),
    "a refusal that contradicts itself": model_error(400, '{"status": 200}'),
    "no document": Reply(424, b"{"),
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_other_failures_of_the_endpoint_are_a_503_and_counted(
    front: ModuleType, endpoint: FakeEndpoint, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    # Given an answer, and then none
    assert front.handler(request(GOOD), None)["statusCode"] == 200
    endpoint.fails = NOT_OURS[name]
    reply = front.handler(request(GOOD), None)
    # Then the caller gets a 503 and may retry
    assert (reply["statusCode"], reply["headers"]["retry-after"]) == (503, "1")
    problem = json.loads(reply["body"])
    assert problem["detail"].startswith("the endpoint gives no answer: ")
    assert problem["detail"].endswith("; ask again")
    # And each is counted, by the published version, for the rollout's alarm
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [line[UNANSWERED] for line in counted] == [0, 1]
    assert counted[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["LambdaVersion"]]


def test_an_endpoint_over_http_and_without_a_server() -> None:
    # Given a runtime that answers
    def answering(method: str, target: str, body: bytes) -> Answer:
        assert (method, target) == ("POST", "/endpoints/e/invocations")
        return 200, body

    with serving(answering) as address:
        environ = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address}
        environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
        service = AwsService("sagemaker", subdomain="runtime", seconds=1, environ=environ)
        endpoint = Endpoint("e", 1, service)
        # Then its response is returned, and without a server the reason
        assert (
            endpoint.invoke(b"a", content_type="text/csv", accept="text/csv", context=headers("r", {}, captured=True))
            == b"a"
        )
        endpoint.close()
    with pytest.raises(RequestError, match="gives no answer: sagemaker does not answer"):
        endpoint.invoke(b"a", content_type="text/csv", accept="text/csv", context=headers("r", {}, captured=True))


def test_requests_are_completed_before_they_are_forwarded(
    world: World, tiny_onnx: bytes, endpoint: FakeEndpoint
) -> None:
    # Given a version with a feature store that knows an entity
    stream()
    about = {"feature_store": BINDING}
    front = load(world, tiny_onnx, endpoint="e", endpoint_seconds="9", **about)
    use_endpoint(front, endpoint)
    own = load(world, tiny_onnx, **about)
    for module in (front, own):
        runtime = FakeRuntime("row_id", "at")
        runtime.records = {"r1": STORED}
        bind(module, BINDING, runtime)
    # When a request names it and nothing else, or one that is not known, in JSON or in JSON Lines
    lines = sent('{"row_id": "r1"}\n', content_type="application/jsonlines")
    for event in (request({"row_id": "r1"}), lines, request({"row_id": "nobody"})):
        assert front.handler(event, None) == own.handler(event, None)
    assert json.loads(endpoint.asked[0][2])["instances"][0]["city"] == "JFK"


def test_a_version_with_an_endpoint_registers_no_extension(world: World, tiny_onnx: bytes) -> None:
    # Given a runtime with an Extensions API
    with running() as environment:
        world.monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", environment.address)
        # When a version starts that knows its signature and whose endpoint captures
        front = load(world, tiny_onnx, endpoint="e", endpoint_seconds="9", feature_store=BINDING)
    # Then it does not use it
    assert front.model is not None
    assert environment.happened == []


def test_a_version_with_an_endpoint_reads_the_model_file_only_when_needed(world: World) -> None:
    # Given a version whose file is no model
    front = load(world, b"no model", endpoint="e", endpoint_seconds="9")
    # Then the function has started without it
    assert front.model is None
    assert front.handler(EVENTS["ping"], None)["statusCode"] == 200


def test_the_runtime_has_its_own_host() -> None:
    service = AwsService("sagemaker", subdomain="runtime", seconds=1, environ={"AWS_REGION": "eu-central-1"})
    assert service._host == "runtime.sagemaker.eu-central-1.amazonaws.com"
