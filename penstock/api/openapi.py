"""The OpenAPI 3.1 document of a model's API: what the live version takes and answers.

It is made of the signature in the model file, so it says what serves and not what a folder says by now. The routes'
authorizer is the API's and not the version's: which one it is, the request for the document itself tells.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Literal

from penstock.api import openapi_schemas as openapi_fields
from penstock.api.explain import Background
from penstock.api.media_types import CSV, JSON, JSON_LINES, PROBLEM
from penstock.api.openapi_schemas import Schema
from penstock.api.sagemaker_headers import PARAMETER
from penstock.scoring.problems import TITLES
from penstock.scoring.signature import Signature, Value

Row = Mapping[str, Value]
Auth = Literal["iam", "jwt"]
SCHEMES: dict[Auth, Schema] = {
    "iam": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "x-amazon-apigateway-authtype": "awsSigv4",
        "description": "AWS Signature Version 4, service execute-api",
    },
    "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
HEADERS = {
    "x-request-id": "names the request",
    "x-penstock-version": "the model version that answered",
    "x-penstock-inference-id": "id of the first prediction",
}
REFUSED = {401: "no valid token", 403: "not signed, or not permitted", 429: "more requests than the API admits"}
"""What API Gateway says itself."""
ASKED = (400, 406, 413, 414, 415, 422, 503)
PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong, and what to do"},
        "field": {"type": "string", "description": "where it is wrong"},
        "row": {"type": "integer", "minimum": 0, "description": "0-based"},
    },
}


def document(
    signature: Signature,
    *,
    version: int,
    max_rows: int,
    auth: Auth | None = "iam",
    feature_store: str = "",
    example: Row | None = None,
    background: Background | None = None,
) -> dict[str, Any]:
    """The document.

    Args:
        signature: of the model that is live.
        version: its model package version.
        max_rows: most rows in one request.
        auth: how callers show who they are; None where nobody asks.
        feature_store: the binding that completes requests, or nothing.
        example: a row that the model takes; made of the fields unless given.
        background: what the model's scores are explained by; None where they are not.
    """
    row = example or openapi_fields.made(signature)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": signature.model, "version": str(version), "description": _said(signature)},
        "servers": [{"url": "/"}],
        "paths": {
            "/predict": {"post": _predict(signature, row) | _asking(background)},
            "/openapi.json": {"get": _get("describe", "this document", {"type": "object"})},
            "/ping": {"get": _get("ping", "which version serves", {"$ref": "#/components/schemas/Serving"})},
        },
        "components": {"schemas": _schemas(signature, max_rows, feature_store, background)},
    }
    if auth:
        found["components"]["securitySchemes"] = {auth: SCHEMES[auth]}
        found["security"] = [{auth: []}]
    return found


def _said(signature: Signature) -> str:
    what = {"binary": "one of two classes", "multiclass": "one of several classes", "regression": "an amount"}
    return f"Predicts {what[signature.task]} of rows of raw columns."


def _schemas(signature: Signature, max_rows: int, feature_store: str, background: Background | None) -> Schema:
    return {
        "Instance": openapi_fields.instance(signature, feature_store),
        "Request": _closed(instances=_listed("Instance", maxItems=max_rows)),
        "Prediction": openapi_fields.prediction(signature, explains=background is not None),
        "Answer": _closed(
            model={"type": "string"}, version={"type": "integer"}, predictions=_listed("Prediction", maxItems=max_rows)
        ),
        "Problem": PROBLEM_SCHEMA,
        "Refusal": {"type": "object", "properties": {"message": {"type": "string"}}},
        "Serving": _closed(model={"type": "string"}, version={"type": "integer"}, sha256={"type": "string"}),
    }


def _closed(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _listed(name: str, **limits: int) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}, "minItems": 1, **limits}


def _predict(signature: Signature, row: Row | None) -> Schema:
    text = "header row, then a line a row; an empty cell is missing; without header: text/csv; header=absent"
    request = {
        JSON: _content({"$ref": "#/components/schemas/Request"}, row and {"instances": [row]}),
        CSV: _content({"type": "string", "description": text}, row and _csv(row)),
        JSON_LINES: _content({"type": "string", "description": "an Instance a line"}, row and f"{json.dumps(row)}\n"),
    }
    answer = {
        JSON: {"schema": {"$ref": "#/components/schemas/Answer"}},
        CSV: {"schema": {"type": "string", "description": "a line a prediction, after a header"}},
        JSON_LINES: {"schema": {"type": "string", "description": "a Prediction a line"}},
    }
    return {
        "operationId": "predict",
        "summary": f"predictions of {signature.model}",
        "requestBody": {"required": True, "content": request},
        "responses": {
            "200": {"description": "a prediction for each row, in order", "headers": _headers(), "content": answer},
            **{str(status): _problem(status) for status in ASKED},
            **_refused(),
        },
    }


def _asking(background: Background | None) -> Schema:
    """How a request asks for explanations, where the version has any."""
    if background is None:
        return {}
    said = f"with what each field adds to the score; of at most {background.max_rows} rows"
    asked = {"name": PARAMETER, "in": "query", "description": said, "schema": {"type": "boolean"}}
    return {"parameters": [asked]}


def _content(schema: Schema, example: Any) -> Schema:
    return {"schema": schema} | ({"examples": {"row": {"value": example}}} if example else {})


def _csv(row: Row) -> str:
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(row)
    lines.writerow("" if value is None else value for value in row.values())
    return written.getvalue()


def _get(operation: str, what: str, schema: Schema) -> Schema:
    content = {JSON: {"schema": schema}}
    found = {"200": {"description": what, "content": content}, "503": _problem(503), **_refused()}
    return {"operationId": operation, "summary": what, "responses": found}


def _headers() -> Schema:
    return {name: {"description": what, "schema": {"type": "string"}} for name, what in HEADERS.items()}


def _problem(status: int) -> Schema:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": TITLES[status], "content": content}


def _refused() -> Schema:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {str(status): {"description": what, "content": content} for status, what in REFUSED.items()}
