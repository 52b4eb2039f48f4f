"""Complete requests that name an entity with features from the feature store, before they are decoded.

Loaded only by a version that is bound to a store. Values in the request, null too, are not replaced.
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
            binding: of `penstock.features.group.FeatureGroup.binding`.
            signature: of the live model.
            store: the group; by default a new client.
        """
        bound = json.loads(binding)
        self._entity: str = bound["entity"]
        names = bound["features"]
        self._fields = [
            field for field in signature.fields if field.name != self._entity and (names is None or field.name in names)
        ]
        self._store = store or FeatureStore.for_request(bound["group"])

    def complete(self, body: bytes) -> bytes:
        """Return a request's body with its rows completed; one that is complete, or malformed, unchanged.

        Raises:
            RequestError: an unknown entity whose row lacks a required field; or the store does not answer.
        """
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return body  # the decoder reports the fault
        incomplete = dict(self._incomplete_rows(request))
        if not incomplete:
            return body
        try:
            records = self._store.get(sorted({str(row[self._entity]) for row in incomplete.values()}))
        except FeatureStoreError as error:
            raise RequestError(503, f"{error}; try again, or give every feature") from None
        for index, row in incomplete.items():
            self._fill(index, row, records.get(str(row[self._entity])))
        return json.dumps(request).encode()

    def _incomplete_rows(self, request: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows that name an entity and lack a stored feature, with their index."""
        rows = request.get("instances") if isinstance(request, dict) else None
        for index, row in enumerate(rows if isinstance(rows, list) else []):
            if not isinstance(row, dict) or not _is_entity(row.get(self._entity)):
                continue
            if any(field.name not in row for field in self._fields):
                yield index, row

    def _fill(self, index: int, row: dict[str, Any], record: Record | None) -> None:
        absent = [field for field in self._fields if field.name not in row]
        required = next((field.name for field in absent if field.required), None)
        if record is None and required is not None:
            fault = f"{self._entity} {row[self._entity]!r} in row {index} is not in the feature store"
            detail = f"{fault}: give its features; {required!r} is required"
            raise RequestError(422, detail, field=self._entity, row=index)
        row.update(_stored_values(absent, record or {}))


def _stored_values(fields: list[Field], record: Mapping[str, str]) -> dict[str, Value]:
    texts = {field: record.get(feature_name(field.name)) for field in fields}
    return {field.name: _parse(field, text) for field, text in texts.items() if text is not None}


def _parse(field: Field, text: str) -> Value:
    """Parse a value that `penstock.features.ingest` wrote."""
    if field.type == "boolean":
        return text == "1"
    if field.type == "integer":
        return int(text)
    return float(text) if field.type == "number" else text


def _is_entity(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""
