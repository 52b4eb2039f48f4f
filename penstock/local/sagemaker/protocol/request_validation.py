"""Checks a request against botocore's model of its operation, as strictly as AWS does.

The client's SDK checks types and required members only, and a request from a state machine or a template passes no SDK
at all. A request that AWS would refuse is refused here too, in AWS's wording.
"""

import json
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from penstock.local.sagemaker.protocol.api_model import pattern
from penstock.local.sagemaker.protocol.errors import validation

_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "blob": (str,),
}


def check(request: dict[str, Any], shape: Shape | None) -> None:
    """Check the members of a request.

    Raises:
        SageMakerError: `ValidationException`, naming every invalid member.
    """
    problems = list(_problems(request, shape, "")) if shape is not None else [f"Unknown member: {k}" for k in request]
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise validation(count + "; ".join(problems))


def _problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if not _has_type(value, shape.type_name):
        yield _describe(value, path, f"Member must be of type {shape.type_name}")
    elif isinstance(shape, StructureShape):
        yield from _structure(value, shape, path)
    elif isinstance(shape, ListShape):
        yield from _size(value, shape, path)
        for index, item in enumerate(value, start=1):
            yield from _problems(item, shape.member, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _size(value, shape, path)
        for key, item in value.items():
            yield from _problems(key, shape.key, f"{path}.{key}.key")
            yield from _problems(item, shape.value, f"{path}.{key}.member")
    else:
        yield from _scalar(value, shape, path)


def _has_type(value: Any, type_name: str) -> bool:
    if isinstance(value, bool):
        return type_name == "boolean"
    return isinstance(value, _TYPES[type_name])


def _structure(value: dict[str, Any], shape: StructureShape, path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _describe(None, _join(path, name), "Member must not be null")
    for name, item in value.items():
        if name not in shape.members:
            members = ", ".join(sorted(shape.members))
            yield f"Unknown member '{_join(path, name)}'. Members of {shape.name}: {members}"
        elif item is not None:
            yield from _problems(item, shape.members[name], _join(path, name))


def _size(value: Any, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield _describe(value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        yield _describe(value, path, f"Member must have length less than or equal to {high}")


def _scalar(value: Any, shape: Shape, path: str) -> Iterator[str]:
    metadata = shape.metadata
    if isinstance(value, str) and shape.type_name == "string":
        yield from _size(value, shape, path)
        allowed = metadata.get("enum")
        if allowed and value not in allowed:
            yield _describe(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
        if "pattern" in metadata and not pattern(metadata["pattern"]).fullmatch(value):
            yield _describe(value, path, f"Member must satisfy regular expression pattern: {metadata['pattern']}")
    elif not isinstance(value, str | bool):
        low, high = metadata.get("min"), metadata.get("max")
        if low is not None and value < low:
            yield _describe(value, path, f"Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            yield _describe(value, path, f"Member must have value less than or equal to {high}")


def _describe(value: Any, path: str, constraint: str) -> str:
    """Word a problem as AWS does, with `null` unquoted and every other value in quotes."""
    text = "null" if value is None else f"'{value if isinstance(value, str) else json.dumps(value, default=str)}'"
    return f"Value {text} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
