"""Botocore's model of the SageMaker API, which defines the members of every request and response."""

import functools
import re
import sys
import unicodedata
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape


@functools.cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """Return botocore's model of SageMaker, or of one of its runtimes."""
    return botocore.session.get_session().get_service_model(service)


def operation_model(name: str, service: str = "sagemaker") -> OperationModel | None:
    """Return the model of an operation, or None where AWS has no operation of that name."""
    model = service_model(service)
    return model.operation_model(name) if name in model.operation_names else None


def project(record: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Return the members of a record that a shape has, so that one record serves Describe, List and events."""
    members = getattr(shape, "members", {})
    return {name: record[name] for name in members if record.get(name) is not None}


def output_shape(operation: str) -> Shape:
    """Return the shape of an operation's response."""
    shape = service_model().operation_model(operation).output_shape
    if shape is None:
        raise LookupError(f"{operation} has no output")
    return shape


@functools.cache
def pattern(text: str) -> re.Pattern[str]:
    r"""Compile a pattern of the model, which is written for Java: categories like `\p{L}` become character ranges."""
    text = re.sub(r"\$\{\d+,\d+\}$", "", text)  # an error in AWS's model: a quantifier after the end of the text
    text = text.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff").replace(r"\z", r"\Z")
    return re.compile(re.sub(r"(\[(?:\\.|[^\]])*\])|\\p\{(\w+)\}", _replace_categories, text))


def _replace_categories(match: re.Match[str]) -> str:
    """Replace the categories in a character class, or a category by a class of its own."""
    inside = re.sub(r"\\p\{(\w+)\}", lambda category: _category(category[1]), match[1] or "")
    return inside or f"[{_category(match[2])}]"


_ASCII = {"Alnum": "0-9A-Za-z", "Print": r"\x20-\x7e", "ASCII": r"\x00-\x7f"}
"""Categories of ASCII characters, which Python's tables do not have by name."""


@functools.cache
def _category(name: str) -> str:
    if name in _ASCII:
        return _ASCII[name]
    members = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith(name)]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _ranges(members))


def _ranges(codes: list[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges
