"""Build the OpenAPI 3.1 document of the live version's API.

The signature in the model file is its source, so it describes the version that serves, not the current model folder.
The authorizer belongs to the API, not to the version; the request for the document shows which one it is.
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
GATEWAY_ERRORS = {401: "no valid token", 403: "not signed, or not permitted", 429: "more requests than the API admits"}
"""Errors that API Gateway itself returns."""
PREDICT_ERRORS = (400, 406, 413, 414, 415, 422, 503)
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
    """Build the document.

    Args:
        signature: the live version's signature.
        version: its model package version.
        max_rows: most rows in one request.
        auth: the routes' authorizer; None if they have none.
        feature_store: the binding that completes requests, or empty.
        example: a valid row; None to derive one from the fields.
        background: the background of explanations; None if the version has no explanations.
    """
    row = example or openapi_fields.example_row(signature)
    result: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": signature.model, "version": str(version), "description": _description(signature)},
        "servers": [{"url": "/"}],
        "paths": {
            "/predict": {"post": _predict(signature, row) | _explain_parameter(background)},
            "/openapi.json": {"get": _get("describe", "this document", {"type": "object"})},
            "/ping": {"get": _get("ping", "which version serves", {"$ref": "#/components/schemas/Serving"})},
        },
        "components": {"schemas": _schemas(signature, max_rows, feature_store, background)},
    }
    if auth:
        result["components"]["securitySchemes"] = {auth: SCHEMES[auth]}
        result["security"] = [{auth: []}]
    return result


def _description(signature: Signature) -> str:
    outcomes = {"binary": "one of two classes", "multiclass": "one of several classes", "regression": "an amount"}
    return f"Predicts {outcomes[signature.task]} of rows of raw columns."


def _schemas(signature: Signature, max_rows: int, feature_store: str, background: Background | None) -> Schema:
    return {
        "Instance": openapi_fields.instance(signature, feature_store),
        "Request": _object(instances=_array("Instance", maxItems=max_rows)),
        "Prediction": openapi_fields.prediction(signature, explains=background is not None),
        "Answer": _object(
            model={"type": "string"}, version={"type": "integer"}, predictions=_array("Prediction", maxItems=max_rows)
        ),
        "Problem": PROBLEM_SCHEMA,
        "Refusal": {"type": "object", "properties": {"message": {"type": "string"}}},
        "Serving": _object(model={"type": "string"}, version={"type": "integer"}, sha256={"type": "string"}),
    }


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _array(name: str, **limits: int) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}, "minItems": 1, **limits}


def _predict(signature: Signature, row: Row | None) -> Schema:
    csv_rules = "header row, then a line a row; an empty cell is missing; without header: text/csv; header=absent"
    request = {
        JSON: _content({"$ref": "#/components/schemas/Request"}, row and {"instances": [row]}),
        CSV: _content({"type": "string", "description": csv_rules}, row and _csv(row)),
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
            **{str(status): _problem(status) for status in PREDICT_ERRORS},
            **_gateway_errors(),
        },
    }


def _explain_parameter(background: Background | None) -> Schema:
    """Return the query parameter that requests explanations, if the version has them."""
    if background is None:
        return {}
    description = f"with what each field adds to the score; of at most {background.max_rows} rows"
    parameter = {"name": PARAMETER, "in": "query", "description": description, "schema": {"type": "boolean"}}
    return {"parameters": [parameter]}


def _content(schema: Schema, example: Any) -> Schema:
    return {"schema": schema} | ({"examples": {"row": {"value": example}}} if example else {})


def _csv(row: Row) -> str:
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\r\n")
    lines.writerow(row)
    lines.writerow("" if value is None else value for value in row.values())
    return buffer.getvalue()


def _get(operation: str, summary: str, schema: Schema) -> Schema:
    content = {JSON: {"schema": schema}}
    responses = {"200": {"description": summary, "content": content}, "503": _problem(503), **_gateway_errors()}
    return {"operationId": operation, "summary": summary, "responses": responses}


def _headers() -> Schema:
    return {name: {"description": what, "schema": {"type": "string"}} for name, what in HEADERS.items()}


def _problem(status: int) -> Schema:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": TITLES[status], "content": content}


def _gateway_errors() -> Schema:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {str(status): {"description": what, "content": content} for status, what in GATEWAY_ERRORS.items()}
