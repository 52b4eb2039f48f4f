"""A part's lines scored as requests are: decoded by the same rules, one by one where one is poison, answered alike."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Value

SLICE = 500
"""Rows that are decoded and scored at once; what a request has unless model.yaml says otherwise."""
Rows = list[dict[str, Value]]


class Line(msgspec.Struct):
    """A row as it was dealt."""

    id: str
    row: int
    instance: msgspec.Raw
    reason: str | None = None
    """Why it is not asked; None where it is."""


LINES = msgspec.json.Decoder(Line)


def scored(model: Model, data: bytes, key: str | None) -> bytes:
    """The lines of a part's scores, one for each of its rows, in order.

    Args:
        model: of the batch's version; it takes `SLICE` rows at once.
        data: the part.
        key: the row key's column, where the file has it.
    """
    lines = LINES.decode_lines(data)
    answers = {line.row: said for line, said in _answered(model, [line for line in lines if line.reason is None], key)}
    refused = {line.row: _refused(line, str(line.reason), key) for line in lines if line.reason is not None}
    said = answers | refused
    return "\n".join([*(json.dumps(said[line.row]) for line in lines), ""]).encode()


def _answered(model: Model, lines: Sequence[Line], key: str | None) -> Iterator[tuple[Line, dict[str, Any]]]:
    for start in range(0, len(lines), SLICE):
        wanted, rows, poison = _decoded(model, lines[start : start + SLICE], key)
        yield from poison
        scores = model.score_rows(rows).tolist() if rows else []
        for line, row, score in zip(wanted, rows, scores, strict=True):
            known = {key: row.get(key)} if key else {}
            yield line, {"id": line.id, "row": line.row, "instance": known, "prediction": model.prediction(score)}


def _decoded(
    model: Model, lines: Sequence[Line], key: str | None
) -> tuple[Sequence[Line], Rows, list[tuple[Line, dict[str, Any]]]]:
    """The rows that can be scored, with their lines; and of each other one what is said of it."""
    try:
        return lines, model.decode(_body(lines)), []
    except RequestError:
        pass
    wanted: list[Line] = []
    rows: Rows = []
    poison: list[tuple[Line, dict[str, Any]]] = []
    for line in lines:
        try:
            rows += model.decode(_body([line]))
            wanted.append(line)
        except RequestError as error:
            poison.append((line, _refused(line, _reason(error), key)))
    return wanted, rows, poison


def _reason(error: RequestError) -> str:
    """Without the place in a request that nobody made."""
    said = error.detail.replace(" in row 0", "")
    return f"{error.field}: {said.replace(f', field {error.field!r}', '')}" if error.field else said


def _refused(line: Line, reason: str, key: str | None) -> dict[str, Any]:
    """Of what was asked only the key is kept."""
    known = {key: json.loads(bytes(line.instance)).get(key)} if key else {}
    return {"id": line.id, "row": line.row, "instance": known, "reason": reason}


def _body(lines: Sequence[Line]) -> bytes:
    return b'{"instances":[' + b",".join(bytes(line.instance) for line in lines) + b"]}"
