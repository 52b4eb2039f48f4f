"""No request gets a 5xx, and exactly the requests that are valid by the OpenAPI document are answered."""

import csv
import io
import json
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis.checks import positive_data_acceptance

from penstock.aws.s3_store import sha256
from tests.support import tiny
from tests.support.gateway import SIGNED, Gateway
from tests.support.hostile import json_texts, naughty_strings
from tests.support.tiny import GOOD
from tests.support.world import World
from tests.unit.predict.test_handler import request, stream

many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
MODELS: dict[str, Callable[[], bytes]] = {
    "binary": tiny.build,
    "regression": tiny.build_regression,
    "multiclass": tiny.build_multiclass,
    "explaining": lambda: tiny.build(explains=tiny.explains(max_rows=4, scorings=256)),
}


@pytest.fixture(params=MODELS)
def function(world: World, request: pytest.FixtureRequest) -> ModuleType:
    """Load a published version of each kind of model."""
    stream()
    data = MODELS[request.param]()
    world.store.write("models/m/model.onnx", data)
    about = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(data), "max_rows": "4"}
    return world.load("predict", **about)


def openapi_document(function: ModuleType) -> dict[str, Any]:
    event = {"requestContext": {"requestId": "r", "http": {"method": "GET", "path": "/openapi.json"}}}
    document: dict[str, Any] = json.loads(function.handler(event, None)["body"])
    return document


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one schema of the document. ECMA's `$` is Python's `\\Z`."""
    text = re.sub(r'(?<="pattern":")((?:[^"\\]|\\.)*)\$(?=")', r"\1\\\\Z", json.dumps(document, separators=(",", ":")))
    return {"$ref": f"#/components/schemas/{name}", **json.loads(text)}


def answer(function: ModuleType, body: str, query: dict[str, Any] | None = None, /, **headers: str) -> tuple[int, Any]:
    reply = function.handler(request(body=body, headers=headers, queryStringParameters=dict(query or {})), None)
    kind = reply["headers"]["content-type"]
    return reply["statusCode"], json.loads(reply["body"]) if "json" in kind and "lines" not in kind else reply["body"]


def test_the_document_is_valid_openapi(function: ModuleType) -> None:
    validate(openapi_document(function))


def test_every_valid_request_gets_a_valid_answer(function: ModuleType) -> None:
    # Given the schemas of the document
    document = openapi_document(function)
    operation = schemathesis.openapi.from_dict(document)["/predict"]["POST"]
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    requests, answers = (Draft202012Validator(schema(document, name)) for name in ("Request", "Answer"))

    # When requests are made of them, then each is answered, as promised
    @many
    @given(cases.filter(lambda case: case.media_type == "application/json"))
    def ask(case: Any) -> None:
        requests.validate(case.body)
        status, document = answer(function, json.dumps(case.body), case.query)
        assert status == 200, document
        assert all("explanation" in item for item in document["predictions"]) == (
            "explain=true" in urlencode(case.query or {})
        )
        answers.validate(document)
        assert len(document["predictions"]) == len(case.body["instances"])

    ask()


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1.0, 9, 10, -0.0, 3.0, 1e3, 2**63, -(2**63), 3.5e38, 1e308, "JFK", "JFK\n", "red", "", "true"]),
    st.text(max_size=6),
    st.lists(st.none(), max_size=1),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)
NAMES = st.one_of(st.sampled_from([*GOOD, "row_id", "at"]), st.text(max_size=3))
NEAR = st.lists(
    st.one_of(st.dictionaries(NAMES, ODD, max_size=3).map(lambda values: GOOD | values), ODD), max_size=5
).map(lambda rows: {"instances": rows})


def test_exactly_the_valid_requests_are_answered(function: ModuleType) -> None:
    # Given a good row of which some values are replaced
    document = openapi_document(function)
    valid, answers = (Draft202012Validator(schema(document, name)) for name in ("Request", "Answer"))
    problem = Draft202012Validator(schema(document, "Problem"))

    # When it is sent, then it is answered exactly where the document says that it is valid
    @many
    @given(st.one_of(NEAR, ODD))
    def ask(body: Any) -> None:
        status, document = answer(function, json.dumps(body))
        assert (status == 200) == valid.is_valid(body), (status, document)
        (answers if status == 200 else problem).validate(document)
        assert status in {200, 413, 422}

    ask()


def embed(text: str) -> list[str]:
    """Return a text as a whole body, as a row, and as a value."""
    return [
        text,
        f'{{"instances":[{text}]}}',
        *(f'{{"instances":[{{"city":"JFK","amount":1,"{n}":{text}}}]}}' for n in GOOD),
    ]


def test_json_that_breaks_parsers_gets_answers_or_client_errors(function: ModuleType) -> None:
    # Given JSONTestSuite, each text as a body, a row and every field's value
    texts = json_texts()
    valid = Draft202012Validator(schema(openapi_document(function), "Request"))
    assert len(texts) > 300
    for body in (body for text in texts for body in embed(text)):
        # When it is sent in each content type
        status, document = answer(function, body)
        # Then it is answered only where it is valid, and refused with a reason
        assert status in {200, 400, 413, 422}, (body, document)
        assert status == 200 or document["detail"], body
        if status == 200:
            valid.validate(json.loads(body))
        for kind in ("text/csv", "application/jsonlines"):
            assert answer(function, body, **{"content-type": kind})[0] in {200, 400, 413, 422}, body


def test_naughty_strings_get_answers_or_client_errors(function: ModuleType) -> None:
    # Given the Big List of Naughty Strings, as a value of each field and as a field's name
    strings = naughty_strings()
    valid = Draft202012Validator(schema(openapi_document(function), "Request"))
    assert len(strings) > 400
    for text in strings:
        rows = [*({**GOOD, name: text} for name in (*GOOD, "row_id")), {**GOOD, text: 1}]
        for row in rows:
            # When it is sent
            status, document = answer(function, json.dumps({"instances": [row]}))
            # Then it is answered just where it is valid
            assert (status == 200) == valid.is_valid({"instances": [row]}), (row, document)
        # And headers and CSV cells of it are no more harm
        text_file = io.StringIO()
        csv.writer(text_file).writerows([["city", "amount", "row_id", "note"], ["JFK", "1", text, text]])
        assert answer(function, text_file.getvalue(), **{"content-type": "text/csv"})[0] in {200, 400, 422}
        assert answer(function, "{}", accept=text)[0] in {406, 422}
        assert answer(function, "{}", **{"content-type": text})[0] in {415, 422}


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/jsonlines"])
def test_any_bytes_get_answers_or_client_errors(function: ModuleType, kind: str) -> None:
    gateway = Gateway(function, {"/predict": "POST"})

    @many
    @given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-16"))))
    def ask(body: bytes) -> None:
        environ = {
            "HTTP_AUTHORIZATION": SIGNED["Authorization"],
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/predict",
            "CONTENT_TYPE": kind,
            "CONTENT_LENGTH": len(body),
        }
        statuses = []
        list(gateway(environ | {"wsgi.input": io.BytesIO(body)}, lambda status, _: statuses.append(status[:3])))
        assert statuses[0] in {"200", "400", "413", "422"}

    ask()


def explore(result: Any) -> None:
    operation = result.ok()
    modes = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

    @many
    @given(st.one_of(modes))
    def ask(case: Any) -> None:
        # Of a CSV the document can say no more than that it is text.
        beyond = [] if case.media_type in {None, "application/json"} else [positive_data_acceptance]
        case.call_and_validate(headers=SIGNED, excluded_checks=beyond)

    ask()


def test_schemathesis_finds_no_fault(function: ModuleType) -> None:
    # Given the API as a client finds it, and its own document
    gateway = Gateway(function, function.METHODS)
    operations = schemathesis.openapi.from_wsgi("/openapi.json", gateway, headers=SIGNED)
    # When schemathesis asks each operation, with good and with bad data, then every one of its checks holds
    for result in operations.get_all_operations():
        explore(result)
    # And requests were answered, not only refused
    statuses = {reply["statusCode"] for _, reply in gateway.answered}
    assert {200, 422} <= statuses <= {200, 400, 406, 413, 415, 422}
