"""Normalise values for a snapshot: placeholders for what differs in each process, shapes for documents."""

import gzip
import io
import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import polars as pl

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DELIVERY = re.compile(r"\d{4}/\d\d/\d\d/\d\d/penstock-capture-[-\d]+<uuid>")
OF_AN_UPLOAD = re.compile(r"(quarantine/[^/]+/[^/]+/|/folders/)[0-9a-f]{12}(?=\.)")
"""A digest of a version id."""
NUMBER = re.compile(r"(?<!\d:)(?<![\w.])-?\d+\.(?:\d{5,}(?:[eE][-+]?\d+)?|\d+[eE]-?\d+)(?!\w)")


def rounded(number: float) -> float:
    """Round to three digits: the last digits of a model's scores differ between processors."""
    short = float(f"{number:.3g}")
    return short if isfinite(short) else number


class Names:
    """Placeholders for values that differ in each process."""

    def __init__(self, names: Mapping[str, str]) -> None:
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        self._names = dict(names)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        text = self._pattern.sub(lambda match: self._names[match[0]], text) if self._names else text
        text = OF_AN_UPLOAD.sub(r"\1<digest>", text)
        text = DELIVERY.sub("<hour>/<delivery>", UUID.sub("<uuid>", text))
        return NUMBER.sub(lambda match: repr(rounded(float(match[0]))), text)

    def value(self, value: Any) -> Any:
        """Return the value with placeholders, in JSON's types."""
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, float):
            return rounded(value)
        if value is None or isinstance(value, bool | int):
            return value
        return self.text(str(value))


def shape(value: Any) -> Any:
    """Return the shape of a value: an object's members, the distinct shapes in a list, else the type."""
    if isinstance(value, Mapping):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        different = {json.dumps(shape(item), sort_keys=True) for item in value}
        return [json.loads(item) for item in sorted(different)]
    return {type(None): "null", bool: "boolean", int: "integer", float: "number"}.get(type(value), "text")


def content(key: str, data: bytes) -> Any:
    """Return the shape of an object of the lake, by its format."""
    if data[:2] == b"\x1f\x8b":
        return content(key, gzip.decompress(data)) if not key.endswith(".tar.gz") else "archive"
    if data[:4] == b"PAR1":
        return {name: str(kind) for name, kind in pl.read_parquet(io.BytesIO(data)).schema.items()}
    try:
        return shape(json.loads(data))
    except ValueError:
        pass
    try:
        return {"lines": shape([json.loads(line) for line in data.splitlines()])}
    except ValueError:
        pass
    if key.endswith((".csv", ".html")):
        return {"first line": data.decode().split("\n", 1)[0]}
    return "bytes"
