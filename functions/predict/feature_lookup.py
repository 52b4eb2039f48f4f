"""Requests that name an entity get what they lack from the feature store, before they are decoded.

Loaded only by a version that is bound to a store. What a request gives, null too, stands.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.aws.feature_store import FeatureStore, FeatureStoreError, Record
from penstock.features.names import feature_name
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Field, Signature, Value


class Lookup:
    """The stored features of the entities that requests name."""

    def __init__(self, binding: str, signature: Signature, store: FeatureStore | None = None) -> None:
        """Read a binding.

        Args:
            binding: as `penstock.features.group.FeatureGroup.binding` writes it.
            signature: of the model that answers.
            store: the group; made unless given.
        """
        bound = json.loads(binding)
        self._entity: str = bound["entity"]
        names = bound["features"]
        self._fields = [
            field for field in signature.fields if field.name != self._entity and (names is None or field.name in names)
        ]
        self._store = store or FeatureStore.for_request(bound["group"])

    def completed(self, body: bytes) -> bytes:
        """A request's body with what its rows lacked; one that lacks nothing, or is malformed, as it came.

        Raises:
            RequestError: an unknown entity whose row lacks a required field; or the store does not answer.
        """
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return body  # the decoder says what is wrong with it
        lacking = dict(self._lacking(request))
        if not lacking:
            return body
        try:
            found = self._store.get(sorted({_text(row[self._entity]) for row in lacking.values()}))
        except FeatureStoreError as error:
            raise RequestError(503, f"{error}; try again, or give every feature") from None
        for index, row in lacking.items():
            self._fill(index, row, found.get(_text(row[self._entity])))
        return json.dumps(request).encode()

    def _lacking(self, request: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows that name an entity and lack a stored feature, by number."""
        rows = request.get("instances") if isinstance(request, dict) else None
        for index, row in enumerate(rows if isinstance(rows, list) else []):
            if not isinstance(row, dict) or not _names(row.get(self._entity)):
                continue
            if any(field.name not in row for field in self._fields):
                yield index, row

    def _fill(self, index: int, row: dict[str, Any], record: Record | None) -> None:
        absent = [field for field in self._fields if field.name not in row]
        needed = next((field.name for field in absent if field.required), None)
        if record is None and needed is not None:
            what = f"{self._entity} {row[self._entity]!r} in row {index} is not in the feature store"
            raise RequestError(422, f"{what}: give its features; {needed!r} is required", field=self._entity, row=index)
        row.update(_stored(absent, record or {}))


def _stored(fields: list[Field], record: Mapping[str, str]) -> dict[str, Value]:
    given = {field: record.get(feature_name(field.name)) for field in fields}
    return {field.name: _value(field, text) for field, text in given.items() if text is not None}


def _value(field: Field, text: str) -> Value:
    """What `penstock.features.ingest` wrote."""
    if field.type == "boolean":
        return text == "1"
    if field.type == "integer":
        return int(text)
    return float(text) if field.type == "number" else text


def _names(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _text(value: str | int) -> str:
    return str(value)
