"""Requests that were answered, asked once more of a version that nobody's request goes to, and what it answers.

A request is asked as it came, with all of its captured rows, so that the version works as it would for callers. Pure:
captured rows in, what to ask and what became of it out.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.api import synthetic_request as unseen

ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"
"""What can become of a row: `refused` is a 4xx, with what is wrong; `failed` is everything else."""
SAID = 300
"""Characters of a refusal or an error that are kept."""
_KEPT = ("score", "label")

Row = Mapping[str, Any]
Pair = dict[str, Any]
"""`id`, `at`, `live` (what the caller got) and `outcome`; with `shadow` (the new version's answer), or why it has none
as `reason`."""


@dataclass(frozen=True)
class Request:
    """An answered request, as far as it was captured."""

    name: str
    """Its id, as API Gateway gave it."""
    rows: tuple[Row, ...]
    """As they were captured."""

    def event(self) -> dict[str, Any]:
        """As the HTTPS API sends it.

        A value that is null was missing, and a version that has no such column any more need not know its name.
        """
        instances = [{name: value for name, value in row["instance"].items() if value is not None} for row in self.rows]
        return unseen.event("shadow", self.name, instances)


def requests(rows: Iterable[Row]) -> list[Request]:
    """Captured rows as the requests that they came in: an inference id is the request's, a hyphen and the row's."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["id"]).rpartition("-")[0], []).append(row)
    return [Request(name, tuple(rows)) for name, rows in found.items()]


def drawn(given: Iterable[Request], most: int) -> list[Request]:
    """Whole requests of together at most so many rows, and at least one; drawn by their names' hashes."""
    found: list[Request] = []
    for request in sorted(given, key=lambda request: hashlib.sha256(request.name.encode()).digest()):
        if found and len(request.rows) > most:
            continue
        found.append(request)
        most -= len(request.rows)
    return found


def pairs(request: Request, answer: Mapping[str, Any], *, failed: bool) -> list[Pair]:
    """Each row's two answers, side by side.

    Args:
        request: what was asked.
        answer: the function's reply, or the error that it raised.
        failed: whether it raised one.
    """
    predictions = None if failed or answer.get("statusCode") != 200 else json.loads(answer["body"])["predictions"]
    if predictions is None or len(predictions) != len(request.rows):
        outcome, reason = _trouble(answer, failed=failed)
        return [_asked(row) | {"outcome": outcome, "reason": reason} for row in request.rows]
    answered = zip(request.rows, predictions, strict=True)
    return [_asked(row) | {"outcome": ANSWERED, "shadow": _of(prediction)} for row, prediction in answered]


def _asked(row: Row) -> Pair:
    return {"id": row["id"], "at": row["at"], "live": _of(row)}


def _of(prediction: Row) -> dict[str, Any]:
    return {name: prediction[name] for name in _KEPT if name in prediction}


def _trouble(answer: Mapping[str, Any], *, failed: bool) -> tuple[str, str]:
    """How a reply that is no answer is counted, and its own words."""
    if failed:
        return FAILED, str(answer.get("errorMessage") or answer)[:SAID]
    status = int(answer.get("statusCode", 0))
    if 400 <= status < 500:
        return REFUSED, str(json.loads(answer["body"]).get("detail"))[:SAID]
    return FAILED, f"status {status}, and not as many predictions as rows"


def first_reason(found: Sequence[Pair]) -> str:
    """The words of the first row without an answer; empty where all have one."""
    return next((f"{pair['outcome']}: {pair['reason']}" for pair in found if pair["outcome"] != ANSWERED), "")
