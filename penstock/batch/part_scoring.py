"""Scores the rows of a part as requests are scored: the same decoder, the same predictions.

Where the decoder refuses a slice of rows, its rows are decoded one by one, so that a bad row costs no other its score.
Neither polars nor the contract is imported here: the scoring function's bundle has only what scores.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Value

SLICE_ROWS = 500
"""Rows that are decoded and scored at once; a request may have as many unless model.yaml says otherwise."""
Rows = list[dict[str, Value]]
ScoredLine = dict[str, Any]


class Line(msgspec.Struct):
    """A row as `penstock.batch.part_splitter` writes it."""

    id: str
    row: int
    instance: msgspec.Raw
    reason: str | None = None
    """Why it is refused; None for a row to score."""


LINES = msgspec.json.Decoder(Line)


def score_part(model: Model, data: bytes, key: str | None) -> bytes:
    """Score a part; return a line for each of its rows, in order.

    Args:
        model: of the batch's version; it takes `SLICE_ROWS` rows at once.
        data: the part.
        key: the row key's column, where the file has it.
    """
    lines = LINES.decode_lines(data)
    results = dict(_score_lines(model, [line for line in lines if line.reason is None], key))
    results |= {line.row: _refusal(line, line.reason, key) for line in lines if line.reason is not None}
    return "\n".join([*(json.dumps(results[line.row]) for line in lines), ""]).encode()


def _score_lines(model: Model, lines: Sequence[Line], key: str | None) -> Iterator[tuple[int, ScoredLine]]:
    """Yield each row's number and its result."""
    for start in range(0, len(lines), SLICE_ROWS):
        good, rows, refusals = _decode(model, lines[start : start + SLICE_ROWS], key)
        yield from refusals
        scores = model.score_rows(rows).tolist() if rows else []
        for line, row, score in zip(good, rows, scores, strict=True):
            instance = {key: row.get(key)} if key else {}
            result = {"id": line.id, "row": line.row, "instance": instance, "prediction": model.prediction(score)}
            yield line.row, result


def _decode(
    model: Model, lines: Sequence[Line], key: str | None
) -> tuple[Sequence[Line], Rows, list[tuple[int, ScoredLine]]]:
    """Decode lines; return those that can be scored, their rows, and the others' row numbers with their refusals."""
    try:
        return lines, model.decode(_body(lines)), []
    except RequestError:
        pass
    good: list[Line] = []
    rows: Rows = []
    refusals: list[tuple[int, ScoredLine]] = []
    for line in lines:
        try:
            rows += model.decode(_body([line]))
            good.append(line)
        except RequestError as error:
            refusals.append((line.row, _refusal(line, _reason(error), key)))
    return good, rows, refusals


def _reason(error: RequestError) -> str:
    """Return the error's message without the row's place in a request that nobody sent."""
    message = error.detail.replace(" in row 0", "")
    return f"{error.field}: {message.replace(f', field {error.field!r}', '')}" if error.field else message


def _refusal(line: Line, reason: str, key: str | None) -> ScoredLine:
    """Return the result of a row without a score; of the instance only the key is kept."""
    instance = {key: json.loads(bytes(line.instance)).get(key)} if key else {}
    return {"id": line.id, "row": line.row, "instance": instance, "reason": reason}


def _body(lines: Sequence[Line]) -> bytes:
    return b'{"instances":[' + b",".join(bytes(line.instance) for line in lines) + b"]}"
