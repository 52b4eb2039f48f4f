"""Decode request bodies and encode responses in every content type, under one set of rules.

CSV and JSON Lines are translated to the equivalent JSON request, which `scoring` decodes. So a wrong type, a value out
of range or a missing field gives the same message for every content type, with the field and the row.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from penstock.api import csv_rows
from penstock.api.media_types import CSV, JSON, JSON_LINES, Media
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Signature, Value

NOT_WHOLE = "got `float`"
Rows = TypeVar("Rows")


class Decoder(Protocol):
    """The part of `scoring.Model` that this module uses."""

    signature: Signature
    max_rows: int

    def decode(self, body: bytes) -> list[dict[str, Value]]:
        """Decode the rows of a JSON request, or raise `RequestError`."""


def decode_rows(model: Decoder, body: bytes) -> list[dict[str, Value]]:
    """Decode a JSON request; accept 3.0 for an integer field, as JSON Schema does.

    Raises:
        RequestError: anything wrong with the request, with its field and row.
    """
    return decode_with(model.decode, body, model.signature)


def decode_with(decode: Callable[[bytes], Rows], body: bytes, signature: Signature) -> Rows:
    """Decode as `decode_rows` does, by any decoder.

    Raises:
        RequestError: as `decode_rows`.
    """
    try:
        return decode(body)
    except RequestError as error:
        if NOT_WHOLE not in error.detail:
            raise
        return decode(_with_whole_numbers(body, signature))


def to_json_request(body: bytes, media: Media, signature: Signature, *, header: bool = True, most: int = 500) -> bytes:
    """Translate a body to the JSON request `{"instances": [{…}]}`; return JSON unchanged.

    Args:
        body: the bytes that were sent.
        media: its media type.
        signature: the fields, for the types of a CSV's cells.
        header: whether a CSV's first row names its columns.
        most: most rows of a request; one more is translated, so that the decoder refuses it.

    Raises:
        RequestError: 400, the body is not of its media type.
    """
    if media == CSV:
        rows = csv_rows.read_rows(body, signature, header=header, most=most + 1)
        return msgspec.json.encode({"instances": rows})
    return body if media == JSON else _join_lines(body, most + 1)


def encode_response(document: Mapping[str, Any], media: Media) -> bytes:
    """Encode a response `{"model", "version", "predictions"}`; CSV and JSON Lines have the predictions alone."""
    predictions = document["predictions"]
    if media == JSON_LINES:
        return b"".join(msgspec.json.encode(prediction) + b"\n" for prediction in predictions)
    return _to_csv(predictions) if media == CSV else msgspec.json.encode(document)


def _join_lines(body: bytes, most: int) -> bytes:
    lines = [line for line in body.split(b"\n") if line.strip()][:most]
    for index, line in enumerate(lines):
        _require_one_document(line, index)
    return b'{"instances":[' + b",".join(lines) + b"]}"


def _require_one_document(line: bytes, index: int) -> None:
    """Require one JSON document on the line: half a row, or two rows, would join to a different request."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        try:
            json.loads(line)  # accepts NaN, for which the decoder has a better message
        except (ValueError, RecursionError):
            raise RequestError(400, f"row {index} is not one line of JSON: {error}", row=index) from None


def _with_whole_numbers(body: bytes, signature: Signature) -> bytes:
    """Write 3.0 as 3 in integer fields; return the request unchanged if it is no JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body
    names = [field.name for field in signature.fields if field.type == "integer"]
    rows = document.get("instances") if isinstance(document, dict) else None
    for row in rows if isinstance(rows, list) else []:
        values = row if isinstance(row, dict) else {}
        values.update(
            {name: csv_rows.as_integer(values[name]) for name in names if isinstance(values.get(name), float)}
        )
    return json.dumps(document).encode()


def _to_csv(predictions: Sequence[Mapping[str, Any]]) -> bytes:
    """Format predictions as a header and lines; a nested value's column is its path, `scores.c`."""
    flat = [dict(_flat(prediction)) for prediction in predictions]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(flat[0])
    writer.writerows([_cell(value) for value in row.values()] for row in flat)
    return buffer.getvalue().encode()


def _flat(prediction: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in prediction.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", part) for inner, part in _flat(value))
        else:
            yield name, value


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
