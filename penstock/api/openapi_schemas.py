"""JSON Schemas (2020-12) of a model's rows and predictions.

The model accepts exactly the requests that are valid under the schema; the fuzz tests check both directions.
"""

import json
import math
import re
from typing import Any

from penstock.scoring.model import FLOAT32_MAX
from penstock.scoring.signature import Field, Signature, Value

Schema = dict[str, Any]
LARGEST = 1.7976931348623157e308
"""The largest float64."""


def instance(signature: Signature, feature_store: str = "") -> Schema:
    """Return the schema of one row of raw columns.

    Args:
        signature: the model's signature.
        feature_store: the binding that completes rows (`penstock.features.group`), or empty.
    """
    stored = _stored(signature, feature_store)
    fields = {field.name: _field(field) for field in signature.fields}
    required = [field.name for field in signature.fields if field.required and field.name not in stored]
    carried = {name: _carried_field(name) for name in signature.carried}
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": fields | carried}
    schema |= {"required": required} if required else {}
    if stored:
        entity = json.loads(feature_store)["entity"]
        schema["description"] = f"A row that names {entity} may lack {', '.join(stored)}: the feature store knows them."
    return schema


def prediction(signature: Signature, *, explains: bool = False) -> Schema:
    """Return the schema of the prediction of one row; its explanation is optional."""
    schema = _prediction(signature)
    return _with_explanation(schema, signature) if explains else schema


def _prediction(signature: Signature) -> Schema:
    properties: Schema = {"id": {"type": "string", "description": "the inference id: ground truth names it"}}
    if signature.task == "regression":
        properties["score"] = {"type": "number", "description": "the amount"}
        return _all_of(properties)
    meaning = f"the probability of {signature.classes[-1]}" if signature.task == "binary" else "of the label"
    properties["score"] = {"type": "number", "description": f"{meaning}, from 0 to 1"}
    properties["label"] = {"enum": list(signature.classes)}
    if signature.task == "multiclass":
        properties["scores"] = _all_of({str(name): {"type": "number"} for name in signature.classes})
    return _all_of(properties)


def _with_explanation(schema: Schema, signature: Signature) -> Schema:
    number: Schema = {"type": "number"}
    description = "what each field adds to the score, from the base on: with it they sum up to the score"
    fields = _all_of({field.name: number for field in signature.fields})
    base = number | {"description": "the mean score of usual values"}
    explanation = _all_of({"base": base, "contributions": fields}) | {"description": description}
    return schema | {"properties": schema["properties"] | {"explanation": explanation}}


def example_row(signature: Signature) -> dict[str, Value] | None:
    """Return a valid row of the required fields; None if a value for some pattern is not known."""
    row = {field.name: _example_value(field) for field in signature.fields if field.required}
    return None if None in row.values() else row


def _all_of(properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties),
    }


def _stored(signature: Signature, feature_store: str) -> list[str]:
    """List the fields that the feature store fills in."""
    if not feature_store:
        return []
    binding = json.loads(feature_store)
    names = binding["features"]
    return [
        field.name
        for field in signature.fields
        if field.name != binding["entity"] and (names is None or field.name in names)
    ]


def _carried_field(name: str) -> Schema:
    kinds = [{"type": ["string", "integer", "null"]}, {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}]
    return {"anyOf": kinds, "description": f"{name} of the row: captured beside it, not scored"}


def _field(field: Field) -> Schema:
    schema: Schema = {"type": field.type if field.required else [field.type, "null"]}
    if field.description:
        schema["description"] = field.description
    if field.allowed:
        schema["enum"] = [*field.allowed, *([] if field.required else [None])]
    elif field.type == "string":
        schema |= _text(field)
    if field.type in {"integer", "number"}:
        schema["minimum"], schema["maximum"] = _bounds(field)
    return schema


def _text(field: Field) -> Schema:
    pattern = None if field.pattern is None else f"^(?:{field.pattern})$"
    limits = {"minLength": field.min_length, "maxLength": field.max_length, "pattern": pattern}
    return {name: value for name, value in limits.items() if value is not None}


def _bounds(field: Field) -> tuple[float, float]:
    """Return the bounds that `scoring` enforces: float32, and 64 bits for an integer."""
    low = -FLOAT32_MAX if field.minimum is None else field.minimum
    high = FLOAT32_MAX if field.maximum is None else field.maximum
    if field.type == "number":
        return low, high
    return max(math.ceil(low), -(2**63)), min(math.floor(high), 2**63 - 1)


def _example_value(field: Field) -> Value:
    if field.allowed:
        return field.allowed[0]
    if field.type == "boolean":
        return False
    if field.type == "string":
        text = "A" * max(field.min_length or 1, 1)
        return text if field.pattern is None or re.fullmatch(field.pattern, text) else None
    low, high = _bounds(field)
    return min(max(0, low), high)
