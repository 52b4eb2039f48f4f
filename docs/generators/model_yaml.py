"""The page on `model.yaml`, from the JSON Schema that pydantic makes of `ModelSpec` and its docstrings."""

import json
from collections.abc import Iterator
from typing import Any

from docs.generators.markdown import code, page, table
from penstock.spec import model as spec
from penstock.spec.model import BESIDE, DISPARITIES, LOWER_IS_BETTER, METRICS, RESAMPLED

Schema = dict[str, Any]
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "map"}
BOUNDS = {"minimum": "≥ {:g}", "exclusiveMinimum": "> {:g}", "maximum": "≤ {:g}", "exclusiveMaximum": "< {:g}"}
INTRODUCTION = """Every field has a default but `name`: a `model.yaml` of one line is valid. Editors complete the
fields with [the JSON Schema](../model.schema.json), which the first line of a drafted file names.
What the fields are for is in the [how-to guides](../README.md)."""


def model_page() -> str:
    """Every section with its fields, types, defaults and meanings."""
    schema = spec.schema()
    definitions: dict[str, Schema] = schema["$defs"]
    places = dict(_places("", schema, definitions))
    sections = [_section("Top level", schema, definitions, places)]
    for name, path in places.items():
        sections.append(_section(f"`{path}`", definitions[name], definitions, places))
    return page("`model.yaml`", INTRODUCTION, *sections, _metrics())


def _metrics() -> str:
    """List what gates can compare, by task."""
    rows = [
        (code(metric), code(task), "lower" if metric in LOWER_IS_BETTER else "higher", "yes" if has_interval else "no")
        for task, metrics in METRICS.items()
        for metric, has_interval in ((name, name in RESAMPLED) for name in metrics)
    ]
    beside = ", ".join(map(code, BESIDE))
    groups = ", ".join(map(code, DISPARITIES))
    return "\n\n".join(
        [
            "## Metrics",
            table(("Metric", "Task", "Better", "Has an interval (`confidence`)"), rows),
            f"Beside them, of the challenger alone: {beside}. Between groups: {groups}.",
        ]
    )


def _places(path: str, schema: Schema, definitions: dict[str, Schema]) -> Iterator[tuple[str, str]]:
    """Each definition with the field where it is first used, in reading order."""
    for field, item in schema.get("properties", {}).items():
        for name in _references(item):
            if definitions[name].get("type") == "object":
                inner = f"{path}{field}"
                yield name, inner
                yield from _places(f"{inner}.", definitions[name], definitions)


def _references(item: Any) -> Iterator[str]:
    if isinstance(item, dict):
        if "$ref" in item:
            yield item["$ref"].rpartition("/")[2]
        for value in item.values():
            yield from _references(value)
    elif isinstance(item, list):
        for value in item:
            yield from _references(value)


def _section(title: str, schema: Schema, definitions: dict[str, Schema], places: dict[str, str]) -> str:
    required = schema.get("required", [])
    rows = [
        (code(name), _type(item, definitions, places), _default(name, item, required), item.get("description", ""))
        for name, item in schema["properties"].items()
    ]
    heads = ("Field", "Type", "Default", "Meaning")
    return f"## {title}\n\n{schema.get('description', '')}\n\n{table(heads, rows)}".replace("\n\n\n\n", "\n\n")


def _type(item: Schema, definitions: dict[str, Schema], places: dict[str, str]) -> str:
    if "$ref" in item:
        name = item["$ref"].rpartition("/")[2]
        return f"[section]({_anchor(places[name])})" if name in places else "any JSON"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in item:
            kinds = (_type(one, definitions, places) for one in item[several] if one.get("type") != "null")
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in item or "const" in item:
        return ", ".join(code(_text(value)) for value in item.get("enum", [item.get("const")]))
    if item.get("type") == "array":
        return f"list of {_type(item.get('items', {}), definitions, places)}"
    if item.get("type") == "object" and isinstance(item.get("additionalProperties"), dict):
        return f"map of {_type(item['additionalProperties'], definitions, places)}"
    bounds = [form.format(item[bound]) for bound, form in BOUNDS.items() if bound in item]
    return " ".join([TYPES.get(item.get("type", ""), "any JSON"), *bounds])


def _anchor(path: str) -> str:
    return "#" + path.replace(".", "")


def _default(name: str, item: Schema, required: list[str]) -> str:
    if name in required:
        return "required"
    value = item.get("default")
    if value is None or value in ([], "", {}):
        return "none"
    if name == "gates":
        return "two gates"
    return "see there" if isinstance(value, dict) else code(_text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
