"""Captures go out after the answer and before the environment is frozen, where Lambda has its Extensions API."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from functions.predict import capture_stream as stream
from functions.predict.post_response import Afterwards
from penstock.aws.s3_store import sha256
from penstock.predict_settings import AFTER, BEFORE
from penstock.spec.model import Capturing
from tests.support.front import Answer, serving
from tests.support.lambda_environment import Environment, running
from tests.support.tiny import GOOD
from tests.support.world import World

EVENT: dict[str, Any] = {"requestContext": {"requestId": "r"}, "body": json.dumps({"instances": [GOOD]})}


class Firehose:
    """Takes every call, once the answer to it is out."""

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
    made = closing.enter_context(running())
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", made.address)
    return made


def published(world: World, tiny_onnx: bytes, firehose: str, **changed: str) -> ModuleType:
    """The function of a version, its captures at an address."""
    world.store.write("models/m/model.onnx", tiny_onnx)
    about = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(tiny_onnx)}
    function = world.load("predict", **about, **changed)
    world.monkeypatch.setattr(stream, "SECONDS", 30.0)
    world.monkeypatch.setenv("AWS_ENDPOINT_URL_FIREHOSE", firehose)
    function.capture._stream = stream.Stream("captures")
    return function


def worked(environment: Environment) -> None:
    environment.wait_for_response(before="work")
    environment.note("work")


def dropped(capsys: pytest.CaptureFixture[str]) -> list[int]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    return [line["CapturesDropped"] for line in lines]


def test_the_capture_goes_out_after_the_answer_and_before_the_next_invocation(
    world: World, tiny_onnx: bytes, environment: Environment, closing: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a Firehose that takes a capture only when the answer is out
    function = published(world, tiny_onnx, closing.enter_context(serving(Firehose(environment))))
    # When two requests are answered
    answers = [environment.invoke(lambda: function.handler(EVENT, None))["statusCode"] for _ in range(2)]
    # Then each was answered first, captured then, and only then the extension asked for the next
    assert answers == [200, 200]
    assert environment.happened == ["registered", "next", *["response", "capture", "next"] * 2]
    assert dropped(capsys) == [0, 0]


def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("trouble", ["dead", "refusing", "slow"])
def test_firehose_in_trouble_is_counted_and_the_environment_given_back(
    world: World,
    tiny_onnx: bytes,
    environment: Environment,
    closing: ExitStack,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
) -> None:
    # Given a Firehose that is not there, takes nothing, or takes connections and never answers
    hanging = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    address = {
        "dead": nobody(),
        "refusing": closing.enter_context(serving(Firehose(environment, status=400))),
        "slow": f"http://127.0.0.1:{hanging.getsockname()[1]}",
    }[trouble]
    function = published(world, tiny_onnx, address)
    if trouble == "slow":
        world.monkeypatch.setattr(stream, "SECONDS", 0.1)
        function.capture._stream = stream.Stream("captures")
    # When a request is answered, then it is answered, its capture counted, and the next invocation asked for
    assert environment.invoke(lambda: function.handler(EVENT, None))["statusCode"] == 200
    assert environment.happened[-1] == "next"
    assert dropped(capsys) == [1]


@pytest.mark.parametrize("event", [EVENT | {"body": "no JSON"}, EVENT | {"smoke_test": True}])
def test_an_invocation_that_captures_nothing_ends_too(
    world: World, tiny_onnx: bytes, environment: Environment, event: dict[str, Any]
) -> None:
    function = published(world, tiny_onnx, nobody())
    environment.invoke(lambda: function.handler(event, None))
    assert environment.happened == ["registered", "next", "response", "next"]


def test_a_handler_that_raises_gives_the_environment_back(
    world: World, tiny_onnx: bytes, environment: Environment
) -> None:
    function = published(world, tiny_onnx, nobody())
    with pytest.raises(KeyError):
        environment.invoke(lambda: function.handler({}, None))
    assert environment.happened[-1] == "next"


def test_a_capture_that_raises_is_counted_and_gives_the_environment_back(
    world: World, tiny_onnx: bytes, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given lines that cannot be made
    function = published(world, tiny_onnx, nobody())
    function.capture._lines = None
    # When a request is answered, then it is, and the capture is counted
    assert environment.invoke(lambda: function.handler(EVENT, None))["statusCode"] == 200
    assert dropped(capsys) == [1]


def test_where_registration_is_refused_captures_go_before_the_answer(
    world: World, tiny_onnx: bytes, environment: Environment, closing: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given an environment that takes no extension
    environment.refuses = True
    taken: list[bytes] = []

    def firehose(_method: str, _target: str, body: bytes) -> Answer:
        taken.append(body)
        return 200, b'{"RequestResponses": [{}]}'

    function = published(world, tiny_onnx, closing.enter_context(serving(firehose)))
    assert "no extension, captures go before the answer: 403" in capsys.readouterr().err
    # When a request is answered, then its capture is there already
    assert function.handler(EVENT, None)["statusCode"] == 200
    assert len(taken) == 1


def test_a_model_may_have_its_captures_go_first(
    world: World, tiny_onnx: bytes, environment: Environment, closing: ExitStack
) -> None:
    # Given a version of `capture: {after_answer: false}`
    taken: list[bytes] = []

    def firehose(_method: str, _target: str, body: bytes) -> Answer:
        taken.append(body)
        return 200, b'{"RequestResponses": [{}]}'

    function = published(world, tiny_onnx, closing.enter_context(serving(firehose)), captured=BEFORE)
    # When a request is answered, then its capture is there already, and nothing was registered
    assert function.handler(EVENT, None)["statusCode"] == 200
    assert (len(taken), environment.happened) == (1, [])
    assert (Capturing().when, Capturing(after_answer=False).when) == (AFTER, BEFORE)


@pytest.mark.parametrize("address", [None, "127.0.0.1:1"])
def test_without_an_extensions_api_there_is_no_extension(address: str | None) -> None:
    environ = {"AWS_LAMBDA_RUNTIME_API": address} if address else {}
    assert Afterwards.registered(environ) is None


def test_an_api_that_fails_is_asked_again(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    # Given an Extensions API that fails twice
    environment.breaks = 2
    made = Afterwards.registered()
    assert made is not None
    # When an invocation comes all the same, then what it leaves is done
    made.add(lambda: worked(environment))
    environment.invoke(made.release)
    assert environment.happened == ["registered", "broken", "broken", "next", "response", "work", "next"]
    assert "the Extensions API does not answer" in capsys.readouterr().err
    made.stop()


def test_an_event_that_comes_in_pieces_is_one(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    # Given an API whose replies come in two pieces, the first within the status
    environment.pieces = True
    made = Afterwards.registered()
    assert made is not None
    # When two invocations leave something, each is done in its own
    for _ in range(2):
        made.add(lambda: worked(environment))
        environment.invoke(made.release)
    assert environment.happened == ["registered", "next", *["response", "work", "next"] * 2]
    assert "does not answer" not in capsys.readouterr().err
    made.stop()


def test_work_that_raises_stops_nothing(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    made = Afterwards.registered()
    assert made is not None
    made.add(lambda: 1 / 0)
    made.add(lambda: worked(environment))
    environment.invoke(made.release)
    assert environment.happened[-2:] == ["work", "next"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    made.stop()
