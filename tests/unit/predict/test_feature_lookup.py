"""Requests that name an entity, completed from the feature store."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from functions.predict.feature_lookup import Lookup
from penstock.aws.feature_store import FeatureStore
from penstock.aws.s3_store import sha256
from penstock.scoring.signature import Value
from tests.support.fake_runtime import FakeRuntime, refusal
from tests.support.tiny import GOOD
from tests.support.world import BUCKET, MODEL, REGION, STAGE, STREAM, World
from tests.unit.predict.test_handler import asked, captured, request, stream

BINDING = json.dumps({"group": "flights", "entity": "row_id", "features": None})
STORED = {
    "row_id": "r1",
    "at": "2026-03-04T00:00:00.000Z",
    "city": "JFK",
    "colour": "red",
    "note": "n",
    "amount": "10.5",
    "level": "3",
    "member": "1",
    "free": "-1.25",
    "count": "4",
    "unknown": "to this model",
}
NAMED: dict[str, Value] = {"row_id": "r1"}


@pytest.fixture
def runtime() -> FakeRuntime:
    made = FakeRuntime("row_id", "at")
    made.records = {"r1": STORED}
    return made


@pytest.fixture
def function(world: World, tiny_onnx: bytes, runtime: FakeRuntime) -> ModuleType:
    """A version that is bound to a store, with the store in memory."""
    stream()
    world.store.write("models/m/model.onnx", tiny_onnx)
    module = world.load(
        "predict",
        version="3",
        model_key="models/m/model.onnx",
        model_sha256=sha256(tiny_onnx),
        feature_store=BINDING,
    )
    assert module.lookup is not None
    bind(module, BINDING, runtime)
    return module


def bind(module: ModuleType, binding: str, runtime: FakeRuntime) -> None:
    module.lookup = Lookup(binding, module.model.signature, FeatureStore("flights", runtime))  # type: ignore[attr-defined]


def scores(answer: dict[str, Any]) -> list[float]:
    return [item["score"] for item in answer["predictions"]]


def test_the_entity_alone_scores_as_all_its_features(world: World, function: ModuleType) -> None:
    status, _, answer = asked(function, request(NAMED, GOOD))
    assert status == 200
    named, whole = scores(answer)
    assert named == whole
    # And its capture has them
    assert captured(world)[0]["instance"] == {k: v for k, v in (GOOD | NAMED | {"at": None}).items() if k != "note"}


def test_what_the_request_gives_stands_null_too(function: ModuleType) -> None:
    given: dict[str, Value] = {"amount": 1, "level": None}
    _, _, answer = asked(function, request(NAMED | given, GOOD | given))
    named, whole = scores(answer)
    assert named == whole


def test_a_request_that_lacks_nothing_asks_nobody(function: ModuleType, runtime: FakeRuntime) -> None:
    runtime.failing = [refusal("ServiceUnavailable")]
    status, _, _ = asked(function, request(GOOD | NAMED, GOOD, {"city": "LGA", "amount": 1}))
    assert (status, runtime.gets) == (200, [])


def test_features_that_are_not_stored_are_not_asked_for(function: ModuleType, runtime: FakeRuntime) -> None:
    bind(function, json.dumps({"group": "g", "entity": "row_id", "features": ["city", "amount"]}), runtime)
    status, _, _ = asked(function, request(NAMED | {"city": "LGA", "amount": 1}))
    assert (status, runtime.gets) == (200, [])
    status, _, answer = asked(function, request(NAMED | {"amount": 1}, {"city": "JFK", "amount": 1}))
    assert scores(answer)[0] == scores(answer)[1]


def test_an_entity_is_asked_for_once(function: ModuleType, runtime: FakeRuntime) -> None:
    asked(function, request(NAMED, NAMED | {"amount": 2}, {"row_id": "r0", "city": "LGA", "amount": 1}))
    assert runtime.gets == [["r0", "r1"]]


def test_an_unknown_entity_that_lacks_a_required_field(world: World, function: ModuleType) -> None:
    status, kind, problem = asked(function, request(GOOD, {"row_id": "r9", "city": "LGA"}))
    assert (status, kind) == (422, "application/problem+json")
    assert problem["detail"] == (
        "row_id 'r9' in row 1 is not in the feature store: give its features; 'amount' is required"
    )
    assert (problem["field"], problem["row"]) == ("row_id", 1)
    assert captured(world) == []


def test_an_unknown_entity_that_lacks_nothing_required_goes_on(function: ModuleType) -> None:
    bare: dict[str, Value] = {"city": "LGA", "amount": 1}
    status, _, answer = asked(function, request(bare | {"row_id": "r9"}, bare))
    assert status == 200
    assert scores(answer)[0] == scores(answer)[1]


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceUnavailable", "AccessForbidden"])
def test_a_store_that_does_not_answer_is_a_503(function: ModuleType, runtime: FakeRuntime, code: str) -> None:
    runtime.failing = [refusal(code)]
    reply = function.handler(request(NAMED), None)
    problem = json.loads(reply["body"])
    assert (reply["statusCode"], reply["headers"]["retry-after"]) == (503, "1")
    assert problem["title"] == "Service Unavailable"
    assert "the feature group flights does not answer" in problem["detail"]


@pytest.mark.parametrize(
    "body", ["not json", "[]", '{"instances": 3}', '{"instances": [3]}', '{"instances": [{"row_id": [1]}]}', "[" * 9999]
)
def test_a_malformed_request_is_the_decoders(function: ModuleType, runtime: FakeRuntime, body: str) -> None:
    status, _, problem = asked(function, request(body=body))
    assert status in (400, 422)
    assert "feature store" not in problem["detail"]
    assert runtime.gets == []


@pytest.mark.parametrize("mark", ["smoke_test", "shadow"])
def test_what_a_rollout_asks_is_whole(function: ModuleType, runtime: FakeRuntime, mark: str) -> None:
    # Given an entity that is a feature, which golden examples and captured rows name
    bind(function, json.dumps({"group": "g", "entity": "city", "features": None}), runtime)
    status, _, _ = asked(function, request({"city": "JFK", "amount": 1}, **{mark: True}))
    assert (status, runtime.gets) == (200, [])


def test_without_a_store_nothing_of_it_is_loaded() -> None:
    variables = {
        "PENSTOCK_STAGE": STAGE,
        "PENSTOCK_MODEL": MODEL,
        "PENSTOCK_BUCKET": BUCKET,
        "PENSTOCK_CAPTURE": STREAM,
        "AWS_DEFAULT_REGION": REGION,
        "PATH": os.environ["PATH"],
    }
    program = (
        "import sys, functions.predict.handler; print(*(m for m in sys.modules if 'feature' in m or 'lookup' in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    assert not [name for name in done.stdout.split() if name.startswith(("penstock.feature", "functions.predict.look"))]
