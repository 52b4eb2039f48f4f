"""The OpenAPI document: descriptions, the feature store, examples, bounds."""

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from penstock.api import openapi
from penstock.api import openapi_schemas as openapi_fields
from penstock.contract.model import Column
from penstock.scoring.signature import Signature
from tests.support import tiny
from training.steps.export import onnx_export as export


def make_signature(*columns: Column, **overrides: Any) -> Signature:
    defaults: dict[str, Any] = {"model": "m", "classes": (), "threshold": None, "output": "variable"}
    return Signature(fields=export.fields(list(columns)), **(defaults | overrides))


def test_contract_descriptions_are_in_the_document() -> None:
    schema = openapi_fields.instance(
        make_signature(Column("wind", "number", "feature", description="Metres a second."))
    )
    assert schema["properties"]["wind"]["description"] == "Metres a second."


def test_field_schema_matches_the_decoder() -> None:
    # Given listed numbers, an optional text and a whole number without bounds
    signature = make_signature(
        Column("step", "integer", "feature", required=True, allowed=(1, 2)),
        Column("code", "string", "feature", pattern="[A-Z]|x", max_length=1),
        Column("count", "integer", "feature"),
        Column("flag", "boolean", "feature", required=True),
    )
    # When they are described
    schema = openapi_fields.instance(signature)
    fields = schema["properties"]
    # Then an optional field may be null, and a pattern matches the whole text
    assert (fields["step"]["enum"], fields["step"]["type"]) == ([1, 2], "integer")
    assert fields["code"] == {"type": ["string", "null"], "maxLength": 1, "pattern": "^(?:[A-Z]|x)$"}
    assert (fields["count"]["minimum"], fields["count"]["maximum"]) == (-(2**63), 2**63 - 1)
    assert (schema["required"], schema["additionalProperties"]) == (["step", "flag"], False)


@pytest.mark.parametrize(
    ("features", "required"), [(None, ["city"]), (["amount"], ["city"]), (["level"], ["city", "amount"])]
)
def test_fields_of_the_feature_store_are_not_required(features: list[str] | None, required: list[str]) -> None:
    binding = json.dumps({"entity": "city", "features": features, "group": "g"})
    schema = openapi_fields.instance(tiny.signature(), binding)
    assert schema["required"] == required
    assert schema["description"].startswith("A row that names city may lack")


def test_example_is_derived_from_the_fields_where_possible() -> None:
    # Given fields from which an example can be derived, and one with a pattern
    derivable = make_signature(
        Column("a", "number", "feature", required=True, minimum=2),
        Column("b", "string", "feature", required=True, min_length=3),
        Column("c", "boolean", "feature", required=True),
        Column("d", "string", "feature"),
    )
    underivable = make_signature(Column("a", "string", "feature", required=True, pattern="[0-9]{5}"))
    # Then only the first has an example, of its required fields
    assert openapi_fields.example_row(derivable) == {"a": 2, "b": "AAA", "c": False}
    assert openapi_fields.example_row(underivable) is None
    for signature in (derivable, underivable):
        document = openapi.document(signature, version=1, max_rows=2)
        validate(document)
        has_examples = "examples" in document["paths"]["/predict"]["post"]["requestBody"]["content"]["text/csv"]
        assert has_examples == (signature is derivable)


def test_document_without_authorizer_has_no_security_scheme() -> None:
    document = openapi.document(tiny.signature(), version=1, max_rows=2, auth=None)
    validate(document)
    assert "security" not in document
    assert "securitySchemes" not in document["components"]
