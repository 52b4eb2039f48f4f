"""Before traffic: the golden examples. Lambda answers through botocore's own stub."""

import io
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from penstock.release.smoke_test import SmokeTestFailed
from tests.support.world import FUNCTION, World

GOLDEN = [{"instance": {"x": 1}, "score": 0.125}, {"instance": {"x": 2}, "score": 0.75}]


@pytest.fixture
def function(world: World) -> ModuleType:
    loaded = world.load("smoke_test")
    world.ledger.put_version(3, arn="arn", sha256="s3", approved="2026-01-01T00:00:00.000+00:00", decision="approved")
    world.store.write_json(world.lake.model_file("s3", "golden.json"), GOLDEN)
    return loaded


@pytest.fixture
def stub(function: ModuleType) -> Iterator[Stubber]:
    with Stubber(function.versions._client) as stubber:
        yield stubber


def answering(stub: Stubber, answer: Any, **about: Any) -> None:
    payload = json.dumps(answer).encode()
    response = {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(payload), len(payload))} | about
    stub.add_response("invoke", response, {"FunctionName": f"{FUNCTION}:7", "Payload": ANY})


def answer(scores: list[float], version: int = 3, status: int = 200) -> dict[str, Any]:
    body = {"model": "flight-delay", "version": version, "predictions": [{"score": score} for score in scores]}
    return {"statusCode": status, "body": json.dumps(body)}


def event(max_rows: str = "500") -> dict[str, Any]:
    return {"package": 3, "lambda_version": 7, "environment": {"PENSTOCK_MAX_ROWS": max_rows}}


def test_the_recorded_scores_pass(function: ModuleType, stub: Stubber) -> None:
    answering(stub, answer([0.125, 0.75]))
    assert function.handler(event(), None) == {"examples": 2}
    stub.assert_no_pending_responses()


def test_a_version_that_was_rejected_gets_no_traffic(world: World, function: ModuleType, stub: Stubber) -> None:
    # Given the ledger has a rejection, whatever the registry says by now
    world.ledger.decide(
        3, "2026-01-01T00:01:00.000+00:00", approved=False, decision="rejected", by="anna", reason="bad"
    )
    # When the rollout reaches its smoke test, then it ends there, without a request
    with pytest.raises(SmokeTestFailed, match="the ledger has version 3 as rejected"):
        function.handler(event(), None)


def test_float_arithmetic_of_another_machine_passes(function: ModuleType, stub: Stubber) -> None:
    answering(stub, answer([0.125 + 1e-7, 0.75 - 1e-7]))
    assert function.handler(event(), None) == {"examples": 2}


@pytest.mark.parametrize(("score", "passes"), [(2_000_000.5, True), (2_000_003.0, False)])
def test_the_last_digits_of_a_large_amount_may_differ(
    world: World, function: ModuleType, stub: Stubber, score: float, passes: bool
) -> None:
    # Given golden examples of a regression, one near zero
    golden = [{"instance": {"x": 1}, "score": 0.5}, {"instance": {"x": 2}, "score": 2_000_000.0}]
    world.store.write_json(world.lake.model_file("s3", "golden.json"), golden)
    answering(stub, answer([0.75, score]))
    # Then what counts is the largest amount
    if passes:
        assert function.handler(event(), None) == {"examples": 2}
    else:
        with pytest.raises(SmokeTestFailed, match="first number 1: 2000003"):
            function.handler(event(), None)


@pytest.mark.parametrize(
    ("reply", "about", "words"),
    [
        (answer([0.125, 0.76]), {}, "1 golden examples differ, first number 1: 0.76, recorded 0.75"),
        (answer([0.2, 0.3]), {}, "2 golden examples differ, first number 0: 0.2, recorded 0.125"),
        (answer([0.125, 0.75], version=2), {}, "version 3 was published, version 2 answers"),
        (answer([], status=503), {}, "the golden examples got no answer"),
        ({"errorMessage": "out of memory"}, {"FunctionError": "Unhandled"}, "the golden examples got no answer"),
        (answer([0.125]), {}, "golden examples"),
    ],
)
def test_a_different_score_fails_the_smoke_test(
    function: ModuleType, stub: Stubber, reply: Any, about: dict[str, Any], words: str
) -> None:
    answering(stub, reply, **about)
    with pytest.raises(SmokeTestFailed, match=words):
        function.handler(event(), None)


def test_a_model_that_takes_few_rows_gets_several_requests(function: ModuleType, stub: Stubber) -> None:
    # Given a model that takes one row in a request
    answering(stub, answer([0.125]))
    answering(stub, answer([0.8]))
    # When the second example differs, then the message has its number among all
    with pytest.raises(SmokeTestFailed, match=r"1 golden examples differ, first number 1: 0\.8"):
        function.handler(event(max_rows="1"), None)
    stub.assert_no_pending_responses()


VECTOR = {"score": 0.7, "label": "a", "scores": {"a": 0.7, "b": 0.2, "c": 0.1}}


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (VECTOR, None),
        (VECTOR | {"scores": {"a": 0.7 + 1e-7, "b": 0.2 - 1e-7, "c": 0.1}}, None),
        # The most probable class' number is right, and two others are not
        (VECTOR | {"scores": {"a": 0.7, "b": 0.1, "c": 0.2}}, "first number 0: a 0.7, b 0.1, c 0.2, recorded a 0.7"),
        (VECTOR | {"scores": {"a": 0.7, "b": 0.2, "d": 0.1}}, "d 0.1, recorded"),
        ({"score": 0.7}, "first number 0: 0.7, recorded a 0.7, b 0.2, c 0.1"),
    ],
)
def test_of_several_classes_the_whole_vector_counts(
    world: World, function: ModuleType, stub: Stubber, prediction: dict[str, Any], words: str | None
) -> None:
    # Given a golden example of a model of three classes
    world.store.write_json(world.lake.model_file("s3", "golden.json"), [{"instance": {"x": 1}} | VECTOR])
    body = {"model": "flight-delay", "version": 3, "predictions": [{"id": "smoke-test-0"} | prediction]}
    answering(stub, {"statusCode": 200, "body": json.dumps(body)})
    # When the version answers, then every class' probability is held against the recorded one
    if words is None:
        assert function.handler(event(), None) == {"examples": 1}
    else:
        with pytest.raises(SmokeTestFailed, match=words):
            function.handler(event(), None)
