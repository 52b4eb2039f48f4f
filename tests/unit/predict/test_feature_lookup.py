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
from tests.unit.predict.test_handler import captured_rows, request, respond_to, stream

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
    store = FakeRuntime("row_id", "at")
    store.records = {"r1": STORED}
    return store


@pytest.fixture
def function(world: World, tiny_onnx: bytes, runtime: FakeRuntime) -> ModuleType:
    """Load a version that is bound to a feature store, with the store in memory."""
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


def test_a_row_with_the_entity_only_scores_like_one_with_all_features(world: World, function: ModuleType) -> None:
    status, _, answer = respond_to(function, request(NAMED, GOOD))
    assert status == 200
    completed, whole = scores(answer)
    assert completed == whole
    # And its capture has them
    assert captured_rows(world)[0]["instance"] == {
        k: v for k, v in (GOOD | NAMED | {"at": None}).items() if k != "note"
    }


def test_values_of_the_request_are_not_replaced_null_included(function: ModuleType) -> None:
    values: dict[str, Value] = {"amount": 1, "level": None}
    _, _, answer = respond_to(function, request(NAMED | values, GOOD | values))
    completed, whole = scores(answer)
    assert completed == whole


def test_a_complete_request_does_not_read_the_store(function: ModuleType, runtime: FakeRuntime) -> None:
    runtime.failing = [refusal("ServiceUnavailable")]
    status, _, _ = respond_to(function, request(GOOD | NAMED, GOOD, {"city": "LGA", "amount": 1}))
    assert (status, runtime.gets) == (200, [])


def test_features_outside_the_binding_are_not_read(function: ModuleType, runtime: FakeRuntime) -> None:
    bind(function, json.dumps({"group": "g", "entity": "row_id", "features": ["city", "amount"]}), runtime)
    status, _, _ = respond_to(function, request(NAMED | {"city": "LGA", "amount": 1}))
    assert (status, runtime.gets) == (200, [])
    status, _, answer = respond_to(function, request(NAMED | {"amount": 1}, {"city": "JFK", "amount": 1}))
    assert scores(answer)[0] == scores(answer)[1]


def test_an_entity_is_read_once(function: ModuleType, runtime: FakeRuntime) -> None:
    respond_to(function, request(NAMED, NAMED | {"amount": 2}, {"row_id": "r0", "city": "LGA", "amount": 1}))
    assert runtime.gets == [["r0", "r1"]]


def test_an_unknown_entity_that_lacks_a_required_field(world: World, function: ModuleType) -> None:
    status, kind, problem = respond_to(function, request(GOOD, {"row_id": "r9", "city": "LGA"}))
    assert (status, kind) == (422, "application/problem+json")
    assert problem["detail"] == (
        "row_id 'r9' in row 1 is not in the feature store: give its features; 'amount' is required"
    )
    assert (problem["field"], problem["row"]) == ("row_id", 1)
    assert captured_rows(world) == []


def test_an_unknown_entity_with_all_required_fields_is_scored(function: ModuleType) -> None:
    bare: dict[str, Value] = {"city": "LGA", "amount": 1}
    status, _, answer = respond_to(function, request(bare | {"row_id": "r9"}, bare))
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
def test_a_malformed_request_gets_the_decoders_error(function: ModuleType, runtime: FakeRuntime, body: str) -> None:
    status, _, problem = respond_to(function, request(body=body))
    assert status in (400, 422)
    assert "feature store" not in problem["detail"]
    assert runtime.gets == []


@pytest.mark.parametrize("mark", ["smoke_test", "shadow"])
def test_synthetic_requests_are_not_completed(function: ModuleType, runtime: FakeRuntime, mark: str) -> None:
    # Given an entity that is a feature, which golden examples and captured rows name
    bind(function, json.dumps({"group": "g", "entity": "city", "features": None}), runtime)
    status, _, _ = respond_to(function, request({"city": "JFK", "amount": 1}, **{mark: True}))
    assert (status, runtime.gets) == (200, [])


def test_without_a_feature_store_its_modules_are_not_loaded() -> None:
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
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    assert not [
        name for name in process.stdout.split() if name.startswith(("penstock.feature", "functions.predict.look"))
    ]
