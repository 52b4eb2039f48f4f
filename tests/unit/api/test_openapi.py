"""The document's parts that need no server: descriptions, the feature store, examples, bounds."""

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


def of(*columns: Column, **about: Any) -> Signature:
    given: dict[str, Any] = {"model": "m", "classes": (), "threshold": None, "output": "variable"}
    return Signature(fields=export.fields(list(columns)), **(given | about))


def test_the_contracts_words_are_in_the_document() -> None:
    found = openapi_fields.instance(of(Column("wind", "number", "feature", description="Metres a second.")))
    assert found["properties"]["wind"]["description"] == "Metres a second."


def test_a_field_is_as_the_decoder_takes_it() -> None:
    # Given listed numbers, an optional text and a whole number without bounds
    signature = of(
        Column("step", "integer", "feature", required=True, allowed=(1, 2)),
        Column("code", "string", "feature", pattern="[A-Z]|x", max_length=1),
        Column("count", "integer", "feature"),
        Column("flag", "boolean", "feature", required=True),
    )
    # When they are described
    found = openapi_fields.instance(signature)
    fields = found["properties"]
    # Then each has what holds of it: an optional one may be null, and a pattern is of the whole text
    assert (fields["step"]["enum"], fields["step"]["type"]) == ([1, 2], "integer")
    assert fields["code"] == {"type": ["string", "null"], "maxLength": 1, "pattern": "^(?:[A-Z]|x)$"}
    assert (fields["count"]["minimum"], fields["count"]["maximum"]) == (-(2**63), 2**63 - 1)
    assert (found["required"], found["additionalProperties"]) == (["step", "flag"], False)


@pytest.mark.parametrize(
    ("features", "required"), [(None, ["city"]), (["amount"], ["city"]), (["level"], ["city", "amount"])]
)
def test_what_the_feature_store_knows_is_not_required(features: list[str] | None, required: list[str]) -> None:
    binding = json.dumps({"entity": "city", "features": features, "group": "g"})
    found = openapi_fields.instance(tiny.signature(), binding)
    assert found["required"] == required
    assert found["description"].startswith("A row that names city may lack")


def test_without_a_golden_example_one_is_made_where_it_can_be() -> None:
    # Given fields that say enough, and one whose pattern does not
    telling = of(
        Column("a", "number", "feature", required=True, minimum=2),
        Column("b", "string", "feature", required=True, min_length=3),
        Column("c", "boolean", "feature", required=True),
        Column("d", "string", "feature"),
    )
    silent = of(Column("a", "string", "feature", required=True, pattern="[0-9]{5}"))
    # Then the one has an example of its required fields, and the other none
    assert openapi_fields.made(telling) == {"a": 2, "b": "AAA", "c": False}
    assert openapi_fields.made(silent) is None
    for signature in (telling, silent):
        document = openapi.document(signature, version=1, max_rows=2)
        validate(document)
        shown = "examples" in document["paths"]["/predict"]["post"]["requestBody"]["content"]["text/csv"]
        assert shown == (signature is telling)


def test_where_nobody_asks_no_scheme_is_claimed() -> None:
    document = openapi.document(tiny.signature(), version=1, max_rows=2, auth=None)
    validate(document)
    assert "security" not in document
    assert "securitySchemes" not in document["components"]
