"""A request's body as rows and predictions as an answer's, in every content type, under one set of rules.

CSV and JSON Lines become the JSON request that they stand for, and `scoring` decodes that: so a type, a range or a
missing field is wrong in the same words, whatever the body was, with the field and the row.
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
    """What `scoring.Model` is to this module."""

    signature: Signature
    max_rows: int

    def decode(self, body: bytes) -> list[dict[str, Value]]:
        """Rows of a JSON request, or a `RequestError`."""


def rows(model: Decoder, body: bytes) -> list[dict[str, Value]]:
    """`Model.decode`, and a whole number that is written with a point (3.0) is one, as JSON Schema says.

    Raises:
        RequestError: whatever is wrong with the request, naming field and row.
    """
    return decoded(model.decode, body, model.signature)


def decoded(decode: Callable[[bytes], Rows], body: bytes, signature: Signature) -> Rows:
    """`rows` by any decoder.

    Raises:
        RequestError: as `rows`.
    """
    try:
        return decode(body)
    except RequestError as error:
        if NOT_WHOLE not in error.detail:
            raise
        return decode(_whole(body, signature))


def request(body: bytes, media: Media, signature: Signature, *, header: bool = True, most: int = 500) -> bytes:
    """The JSON request `{"instances": [{…}]}` that a body stands for; JSON as it came.

    Args:
        body: as it was sent.
        media: what it is.
        signature: the fields, for the types of a CSV's cells.
        header: whether a CSV's first row names its columns.
        most: rows that will be taken; of more, one more is translated, for the decoder to refuse.

    Raises:
        RequestError: 400, where a body is not what it says it is.
    """
    if media == CSV:
        found = csv_rows.rows(body, signature, header=header, most=most + 1)
        return msgspec.json.encode({"instances": found})
    return body if media == JSON else _joined(body, most + 1)


def encoded(document: Mapping[str, Any], media: Media) -> bytes:
    """An answer `{"model", "version", "predictions"}`; as CSV or JSON Lines its predictions alone."""
    predictions = document["predictions"]
    if media == JSON_LINES:
        return b"".join(msgspec.json.encode(prediction) + b"\n" for prediction in predictions)
    return _table(predictions) if media == CSV else msgspec.json.encode(document)


def _joined(body: bytes, most: int) -> bytes:
    lines = [line for line in body.split(b"\n") if line.strip()][:most]
    for index, line in enumerate(lines):
        _be_one(line, index)
    return b'{"instances":[' + b",".join(lines) + b"]}"


def _be_one(line: bytes, index: int) -> None:
    """Each line by itself is JSON: two halves of a row, or two rows on one line, would join to something else."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        try:
            json.loads(line)  # takes NaN, of which the decoder says where it is
        except (ValueError, RecursionError):
            raise RequestError(400, f"row {index} is not one line of JSON: {error}", row=index) from None


def _whole(body: bytes, signature: Signature) -> bytes:
    """The request with its whole numbers written as such; as it came, where it is wrong in another way too."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body
    names = [field.name for field in signature.fields if field.type == "integer"]
    found = document.get("instances") if isinstance(document, dict) else None
    for row in found if isinstance(found, list) else []:
        given = row if isinstance(row, dict) else {}
        given.update({name: csv_rows.whole(given[name]) for name in names if isinstance(given.get(name), float)})
    return json.dumps(document).encode()


def _table(predictions: Sequence[Mapping[str, Any]]) -> bytes:
    """A header, and a line for each; what is nested by its path: `scores.c`."""
    flat = [dict(_flat(prediction)) for prediction in predictions]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(flat[0])
    writer.writerows([_cell(value) for value in row.values()] for row in flat)
    return written.getvalue().encode()


def _flat(prediction: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in prediction.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", part) for inner, part in _flat(value))
        else:
            yield name, value


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
