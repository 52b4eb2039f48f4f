"""The predict function's HTTP interface: content types, headers, the OpenAPI document, health."""

import csv
import io
import json
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from penstock.aws.s3_store import sha256
from penstock.contract.model import Column
from penstock.scoring.model import Model
from penstock.scoring.signature import Signature
from tests.support.tiny import GOOD, SMALLEST, build, build_multiclass, explains
from tests.support.world import World
from tests.unit.predict.test_handler import captured_rows, request, stream
from training.steps.export import onnx_export as export


@pytest.fixture
def function(world: World, tiny_onnx: bytes) -> ModuleType:
    """The version that a rollout published."""
    stream()
    return serving(world, tiny_onnx)


def serving(world: World, data: bytes, **about: str) -> ModuleType:
    world.store.write("models/m/model.onnx", data)
    settings = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(data), "max_rows": "4"}
    return world.load("predict", **(settings | about))


def sent(body: str, kind: str, **headers: str) -> dict[str, Any]:
    return request(body=body, headers={"Content-Type": kind, **headers})


def api_event(path: str, method: str = "GET", **context: Any) -> dict[str, Any]:
    http = {"method": method, "path": path}
    return {"headers": {}, "requestContext": {"requestId": "r-1", "http": http, **context}}


def problem(reply: dict[str, Any]) -> tuple[int, str]:
    assert reply["headers"]["content-type"] == "application/problem+json"
    return reply["statusCode"], json.loads(reply["body"])["detail"]


CSV = "city,amount,row_id\nJFK,10.5,r1\nLGA,1,\n"
LINES = '{"city": "JFK", "amount": 10.5, "row_id": "r1"}\n{"city": "LGA", "amount": 1}\n'


@pytest.mark.parametrize(("kind", "body"), [("text/csv", CSV), ("application/jsonlines", LINES)])
def test_the_response_has_the_content_type_of_the_request_unless_accept_has_another(
    world: World, function: ModuleType, tiny_onnx: bytes, kind: str, body: str
) -> None:
    # Given rows in another content type than JSON
    scores = Model(tiny_onnx).score_rows([{"city": "JFK", "amount": 10.5}, SMALLEST]).tolist()
    # When they are asked for
    reply = function.handler(sent(body, kind), None)
    # Then they are answered in kind
    assert (reply["statusCode"], reply["headers"]["content-type"]) == (200, kind)
    lines = io.StringIO(reply["body"])
    records = list(csv.DictReader(lines) if kind == "text/csv" else map(json.loads, lines))
    assert [float(row["score"]) for row in records] == scores
    # And as JSON where that is accepted, with the same scores and captures
    plain = json.loads(function.handler(sent(body, kind, Accept="application/json"), None)["body"])
    assert [row["score"] for row in plain["predictions"]] == scores
    rows = captured_rows(world)
    assert [row["instance"] for row in rows[:2]] == [row["instance"] for row in rows[2:]]
    assert rows[0]["instance"]["row_id"] == "r1"


def test_headers_have_request_id_version_and_inference_id(function: ModuleType) -> None:
    # Given an answer and a refusal
    fine, refused = function.handler(request(GOOD), None), function.handler(request(body="{"), None)
    # Then both say which request it was and what answered, and the answer its first id
    for reply in (fine, refused):
        assert (reply["headers"]["x-request-id"], reply["headers"]["x-penstock-version"]) == ("JKJaXmPLvHcESHA=", "3")
    assert fine["headers"]["x-penstock-inference-id"] == json.loads(fine["body"])["predictions"][0]["id"]
    assert "x-penstock-inference-id" not in refused["headers"]


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        (sent("{}", "application/xml"), 415, "taken are application/json, text/csv, application/jsonlines"),
        (sent("{}", "application/json; charset=latin-1"), 415, "utf-8"),
        (sent(CSV, "text/csv", accept="text/html"), 406, "there are application/json, text/csv"),
        (sent("city\nJFK,1\n", "text/csv"), 400, "row 0 has 2 cells"),
        (sent("\ud800", "text/csv"), 400, "not UTF-8"),
        (api_event("/predict"), 405, "/predict takes POST, not GET"),
        (api_event("/ping", "POST"), 405, "/ping takes GET"),
        (api_event("/admin"), 404, "there is nothing at /admin: ask /predict"),
    ],
)
def test_the_problem_of_a_refused_request_names_what_is_accepted(
    world: World, function: ModuleType, event: dict[str, Any], status: int, message: str
) -> None:
    code, detail = problem(function.handler(event, None))
    assert (code, message in detail) == (status, True), detail
    assert captured_rows(world) == []


def overflowing(explains: str = "") -> bytes:
    """Build a model whose amounts are the square of their input."""
    shape = [None, 1]
    node = helper.make_node("Mul", ["amount", "amount"], ["variable"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("amount", "variable")]
    opsets = [helper.make_opsetid("", 17)]
    graph = helper.make_graph([node], "square", ends[:1], ends[1:])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    amount = Column("amount", "number", "feature", required=True)
    about = Signature(model="m", fields=export.fields([amount]), classes=(), threshold=None, output="variable")
    return export.sealed(model, about, explains)


def test_a_score_that_is_no_number_is_not_answered(world: World) -> None:
    # Given a model that computes beyond float32 of a number that is in it
    stream()
    function = serving(world, overflowing())
    assert function.handler(request({"amount": 3}), None)["statusCode"] == 200
    # When such a row is asked for, then the answer says which, and is no invalid JSON
    reply = function.handler(request({"amount": 3}, {"amount": 1e30}), None)
    assert problem(reply) == (422, "the model's score of row 1 is not a finite number: its values are too large")
    assert len(captured_rows(world)) == 1


def test_ping_says_what_serves_and_captures_nothing(world: World, function: ModuleType, tiny_onnx: bytes) -> None:
    reply = function.handler(api_event("/ping"), None)
    assert json.loads(reply["body"]) == {"model": "flight-delay", "version": 3, "sha256": sha256(tiny_onnx)}
    assert captured_rows(world) == []


@pytest.mark.parametrize("path", ["/ping", "/openapi.json"])
def test_without_a_live_version_document_and_ping_are_a_503(world: World, path: str) -> None:
    status, detail = problem(world.load("predict").handler(api_event(path), None))
    assert (status, "penstock approve flight-delay" in detail) == (503, True)


def test_the_document_has_the_authorizer_and_a_golden_example(world: World, function: ModuleType) -> None:
    # Given a version with golden examples
    world.store.write("models/m/golden.json", json.dumps([{"instance": GOOD, "score": 0.5}]).encode())
    # When the document is asked for through each authorizer
    documents = {}
    for auth in ("iam", "jwt"):
        reply = function.handler(api_event("/openapi.json", authorizer={auth: {}}), None)
        documents[auth] = json.loads(reply["body"])
    # Then it says so, and shows a row that the model takes
    assert [documents[auth]["security"] for auth in documents] == [[{"iam": []}], [{"jwt": []}]]
    assert documents["iam"]["info"]["version"] == "3"
    example = documents["iam"]["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"][
        "row"
    ]
    assert example["value"] == {"instances": [GOOD]}
    assert function.handler(request(body=json.dumps(example["value"])), None)["statusCode"] == 200
    # And one that is forgotten is gone from it
    world.store.write("models/m/golden.json", b"[]")
    assert "JFK" not in function.handler(api_event("/openapi.json"), None)["body"]


def explaining(world: World, data: bytes) -> ModuleType:
    stream()
    return serving(world, data)


@pytest.mark.parametrize(
    ("kind", "body"), [("application/json", ""), ("text/csv", CSV), ("application/jsonlines", LINES)]
)
def test_explanations_are_returned_in_every_content_type_and_not_captured(world: World, kind: str, body: str) -> None:
    # Given a version that explains, and two rows
    function = explaining(world, build(explains=explains()))
    sent_body = body or json.dumps({"instances": [json.loads(line) for line in LINES.splitlines()]})
    plain, explained = sent(sent_body, kind), sent(sent_body, kind) | {"queryStringParameters": {"explain": "true"}}
    # When they are asked for with and without it
    before, reply = function.handler(plain, None), function.handler(explained, None)
    # Then the answer has what each field adds, and is the plain answer otherwise
    added = [contributions(kind, line) for line in predictions(kind, reply["body"])]
    for line, (base, parts, score) in zip(predictions(kind, before["body"]), added, strict=True):
        assert float(line["score"]) == score == pytest.approx(base + sum(parts.values()))
        assert list(parts) == list(GOOD)
    # And what is captured is the same
    rows = captured_rows(world)
    assert [{**row, "at": ""} for row in rows[:2]] == [{**row, "at": ""} for row in rows[2:]]
    assert "explanation" not in json.dumps(rows)


def predictions(kind: str, body: str) -> list[Any]:
    lines = io.StringIO(body)
    if kind == "text/csv":
        return list(csv.DictReader(lines))
    documents = [json.loads(line) for line in lines]
    return documents if kind == "application/jsonlines" else list(documents[0]["predictions"])


def contributions(kind: str, line: dict[str, Any]) -> tuple[float, dict[str, float], float]:
    if kind != "text/csv":
        return line["explanation"]["base"], line["explanation"]["contributions"], line["score"]
    path = "explanation.contributions."
    parts = {name.removeprefix(path): float(cell) for name, cell in line.items() if name.startswith(path)}
    return float(line["explanation.base"]), parts, float(line["score"])


def test_the_probability_of_the_label_is_explained_with_several_classes(world: World) -> None:
    function = explaining(world, build_multiclass(explains=explains()))
    reply = function.handler(request(GOOD, queryStringParameters={"explain": "true"}), None)
    [prediction] = json.loads(reply["body"])["predictions"]
    assert prediction["scores"][prediction["label"]] == prediction["score"]
    total = prediction["explanation"]["base"] + sum(prediction["explanation"]["contributions"].values())
    assert total == pytest.approx(prediction["score"])


@pytest.mark.parametrize(
    ("entry", "rows", "word", "status", "message"),
    [
        ("", 1, "true", 422, "train, and approve the new version"),
        (explains(), 4, "true", 413, "at most 3 rows of a request are explained"),
        (explains(), 1, "true,true", 400, "say true or false"),
    ],
)
def test_a_request_that_cannot_be_explained_is_a_problem_and_not_captured(
    world: World, entry: str, rows: int, word: str, status: int, message: str
) -> None:
    function = explaining(world, build(explains=entry))
    code, detail = problem(function.handler(request(*[GOOD] * rows, queryStringParameters={"explain": word}), None))
    assert (code, message in detail) == (status, True), detail
    assert captured_rows(world) == []


@pytest.mark.parametrize("entry", ["", explains()])
def test_the_document_has_the_explain_parameter_where_the_version_explains(world: World, entry: str) -> None:
    document = json.loads(explaining(world, build(explains=entry)).handler(api_event("/openapi.json"), None)["body"])
    offered = document["paths"]["/predict"]["post"].get("parameters", [])
    assert [item["name"] for item in offered] == (["explain"] if entry else [])
    assert ("explanation" in document["components"]["schemas"]["Prediction"]["properties"]) == bool(entry)
