"""Captures are sent after the response and before the environment is frozen, where Lambda has its Extensions API."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from functions.predict import capture_stream as stream
from functions.predict.post_response import PostResponse
from penstock.aws.s3_store import sha256
from penstock.predict_settings import AFTER, BEFORE
from penstock.spec.model import Capturing
from tests.support.front import Answer, serving
from tests.support.lambda_environment import Environment, running
from tests.support.tiny import GOOD
from tests.support.world import World

EVENT: dict[str, Any] = {"requestContext": {"requestId": "r"}, "body": json.dumps({"instances": [GOOD]})}


class Firehose:
    """Answers every call once the response is sent."""

    def __init__(self, environment: Environment, status: int = 200) -> None:
        self._environment, self._status = environment, status

    def __call__(self, *_: object) -> Answer:
        self._environment.wait_for_response(before="capture")
        self._environment.note("capture")
        return self._status, b'{"RequestResponses": [{}]}'


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def environment(closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> Environment:
    lambda_environment = closing.enter_context(running())
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", lambda_environment.address)
    return lambda_environment


def load_version(world: World, tiny_onnx: bytes, firehose: str, **changed: str) -> ModuleType:
    """Load the function of a version whose Firehose is at an address."""
    world.store.write("models/m/model.onnx", tiny_onnx)
    about = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(tiny_onnx)}
    function = world.load("predict", **about, **changed)
    world.monkeypatch.setattr(stream, "SECONDS", 30.0)
    world.monkeypatch.setenv("AWS_ENDPOINT_URL_FIREHOSE", firehose)
    function.capture._stream = stream.Stream("captures")
    return function


def note_work(environment: Environment) -> None:
    environment.wait_for_response(before="work")
    environment.note("work")


def dropped_counts(capsys: pytest.CaptureFixture[str]) -> list[int]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    return [line["CapturesDropped"] for line in lines]


def test_the_capture_is_sent_after_the_response_and_before_the_next_invocation(
    world: World, tiny_onnx: bytes, environment: Environment, closing: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a Firehose that answers only when the response is sent
    function = load_version(world, tiny_onnx, closing.enter_context(serving(Firehose(environment))))
    # When two requests are answered
    answers = [environment.invoke(lambda: function.handler(EVENT, None))["statusCode"] for _ in range(2)]
    # Then each is answered first, captured next, and only then the extension requests the next invocation
    assert answers == [200, 200]
    assert environment.happened == ["registered", "next", *["response", "capture", "next"] * 2]
    assert dropped_counts(capsys) == [0, 0]


def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("trouble", ["dead", "refusing", "slow"])
def test_failed_captures_are_counted_and_the_environment_is_released(
    world: World,
    tiny_onnx: bytes,
    environment: Environment,
    closing: ExitStack,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
) -> None:
    # Given no Firehose, one that refuses, or one that accepts connections and never answers
    hanging = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    address = {
        "dead": nobody(),
        "refusing": closing.enter_context(serving(Firehose(environment, status=400))),
        "slow": f"http://127.0.0.1:{hanging.getsockname()[1]}",
    }[trouble]
    function = load_version(world, tiny_onnx, address)
    if trouble == "slow":
        world.monkeypatch.setattr(stream, "SECONDS", 0.1)
        function.capture._stream = stream.Stream("captures")
    # When a request comes, then it is answered, its capture counted, and the next invocation requested
    assert environment.invoke(lambda: function.handler(EVENT, None))["statusCode"] == 200
    assert environment.happened[-1] == "next"
    assert dropped_counts(capsys) == [1]


@pytest.mark.parametrize("event", [EVENT | {"body": "no JSON"}, EVENT | {"smoke_test": True}])
def test_an_invocation_without_captures_ends(
    world: World, tiny_onnx: bytes, environment: Environment, event: dict[str, Any]
) -> None:
    function = load_version(world, tiny_onnx, nobody())
    environment.invoke(lambda: function.handler(event, None))
    assert environment.happened == ["registered", "next", "response", "next"]


def test_the_environment_is_released_when_the_handler_raises(
    world: World, tiny_onnx: bytes, environment: Environment
) -> None:
    function = load_version(world, tiny_onnx, nobody())
    with pytest.raises(KeyError):
        environment.invoke(lambda: function.handler({}, None))
    assert environment.happened[-1] == "next"


def test_a_capture_that_raises_is_counted_and_the_environment_is_released(
    world: World, tiny_onnx: bytes, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given lines that cannot be encoded
    function = load_version(world, tiny_onnx, nobody())
    function.capture._lines = None
    # When a request is answered, then it is, and the capture is counted
    assert environment.invoke(lambda: function.handler(EVENT, None))["statusCode"] == 200
    assert dropped_counts(capsys) == [1]


def test_captures_are_sent_before_the_response_where_registration_is_refused(
    world: World, tiny_onnx: bytes, environment: Environment, closing: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given an environment that refuses extensions
    environment.refuses = True
    calls: list[bytes] = []

    def firehose(_method: str, _target: str, body: bytes) -> Answer:
        calls.append(body)
        return 200, b'{"RequestResponses": [{}]}'

    function = load_version(world, tiny_onnx, closing.enter_context(serving(firehose)))
    assert "no extension, captures are sent before the response: 403" in capsys.readouterr().err
    # When a request is answered, then its capture is there already
    assert function.handler(EVENT, None)["statusCode"] == 200
    assert len(calls) == 1


def test_captures_are_sent_before_the_response_where_model_yaml_says_so(
    world: World, tiny_onnx: bytes, environment: Environment, closing: ExitStack
) -> None:
    # Given a version of `capture: {after_answer: false}`
    calls: list[bytes] = []

    def firehose(_method: str, _target: str, body: bytes) -> Answer:
        calls.append(body)
        return 200, b'{"RequestResponses": [{}]}'

    function = load_version(world, tiny_onnx, closing.enter_context(serving(firehose)), captured=BEFORE)
    # When a request is answered, then its capture is there already, and nothing was registered
    assert function.handler(EVENT, None)["statusCode"] == 200
    assert (len(calls), environment.happened) == (1, [])
    assert (Capturing().when, Capturing(after_answer=False).when) == (AFTER, BEFORE)


@pytest.mark.parametrize("address", [None, "127.0.0.1:1"])
def test_without_an_extensions_api_there_is_no_extension(address: str | None) -> None:
    environ = {"AWS_LAMBDA_RUNTIME_API": address} if address else {}
    assert PostResponse.register(environ) is None


def test_a_failing_extensions_api_is_called_again(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    # Given an Extensions API that fails twice
    environment.breaks = 2
    queue = PostResponse.register()
    assert queue is not None
    # When an invocation comes nevertheless, then its work is done
    queue.add(lambda: note_work(environment))
    environment.invoke(queue.release)
    assert environment.happened == ["registered", "broken", "broken", "next", "response", "work", "next"]
    assert "the Extensions API does not answer" in capsys.readouterr().err
    queue.stop()


def test_a_reply_in_two_pieces_is_one_event(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    # Given an API whose replies come in two pieces, the first within the status
    environment.pieces = True
    queue = PostResponse.register()
    assert queue is not None
    # When two invocations add work, each is done in its own
    for _ in range(2):
        queue.add(lambda: note_work(environment))
        environment.invoke(queue.release)
    assert environment.happened == ["registered", "next", *["response", "work", "next"] * 2]
    assert "does not answer" not in capsys.readouterr().err
    queue.stop()


def test_work_that_raises_does_not_stop_other_work(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = PostResponse.register()
    assert queue is not None
    queue.add(lambda: 1 / 0)
    queue.add(lambda: note_work(environment))
    environment.invoke(queue.release)
    assert environment.happened[-2:] == ["work", "next"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    queue.stop()
