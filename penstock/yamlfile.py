"""Read YAML files as pydantic models, with errors that name file, line and field.

Both files that a user writes, `model.yaml` and `contract.yaml`, are read here, so that their errors look the same.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]


class FileError(Exception):
    """A file that cannot be used; the message says where and what to change."""


def read(path: Path, model: type[M]) -> M:
    """Read a file as a model.

    Raises:
        FileError: no such file, not YAML, or fields that do not fit: one line a fault, `file:line: field: what`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FileError(f"{path}{_not_yaml(error)}") from None
    if again := list(_twice(node)):
        raise FileError("\n".join(f"{path}:{line}: {name}: occurs twice: remove one" for name, line in again))
    if not isinstance(data, dict):
        raise FileError(
            f"{path}: expected fields (`name: value`), found {'nothing' if data is None else type(data).__name__}"
        )
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        faults = [_fault(path, node, dict(e)) for e in error.errors(include_url=False)]
        raise FileError("\n".join(faults)) from None
    if unknown := list(_unknown(result, data, ())):
        raise FileError("\n".join(_fault(path, node, {"loc": loc, "type": "extra_forbidden"}) for loc in unknown))
    return result


def line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Return the 1-based line of a field, or of its nearest parent if the field is absent."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        child = _child(node, step)
        if child is None:
            break
        line, node = child
    return line


def _child(node: yaml.Node | None, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _unknown(model: BaseModel, data: Any, location: Location) -> Iterator[Location]:
    """Yield the fields of the file that the model lacks; a third-party pydantic model may ignore them silently."""
    fields = {field.alias or name: getattr(model, name) for name, field in type(model).model_fields.items()}
    yield from ((*location, name) for name in data if name not in fields)
    for name, value in fields.items():
        inner, values = (value, data.get(name)) if isinstance(value, list) else ([value], [data.get(name)])
        for index, (one, raw) in enumerate(zip(inner, values or [], strict=False)):
            if isinstance(one, BaseModel) and isinstance(raw, dict):
                yield from _unknown(
                    one, raw, (*location, name, index) if isinstance(value, list) else (*location, name)
                )


def _twice(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """Yield the keys that a mapping has twice, with their lines; the YAML reader would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            if str(key.value) in names:
                yield str(key.value), key.start_mark.line + 1
            names.add(str(key.value))
            yield from _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _twice(value)


def _not_yaml(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f":{error.problem_mark.line + 1}: not YAML: {error.problem or error.context}"
    return f": not YAML: {str(error).splitlines()[0]}"


def _fault(path: Path, node: yaml.Node | None, error: dict[str, Any]) -> str:
    location: tuple[int | str, ...] = error["loc"]
    field = ".".join(str(step) for step in location) or "the file"
    what = "is not a field here" if error["type"] == "extra_forbidden" else _lower(error["msg"])
    return f"{path}:{line_of(node, location)}: {field}: {what}"


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
