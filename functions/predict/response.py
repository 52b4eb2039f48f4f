"""Answers as API Gateway wants them: status, headers that say which request and version it was, and a body of text."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.api.media_types import PROBLEM
from penstock.scoring.problems import RequestError

MOST_BYTES = 6_000_000
"""What Lambda takes and gives."""
NONE: Mapping[str, str] = {}


def reply(status: int, body: bytes, kind: str, headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """A response of payload format 2.0."""
    return {"statusCode": status, "headers": {"content-type": kind, **headers}, "body": body.decode()}


def document(about: Mapping[str, Any], headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """A JSON document that is no prediction."""
    return reply(200, msgspec.json.encode(about), "application/json", headers)


def problem(error: RequestError, headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """What is wrong (RFC 9457)."""
    return reply(error.status, msgspec.json.encode(error.problem()), PROBLEM, headers)


def too_large(body: str, most: int) -> bool:
    """Lambda takes no reply beyond its limit, in which each quote of the body is escaped; many classes are many."""
    return 2 * len(body) > most and len(msgspec.json.encode(body)) - len('""') > most


def too_many(rows: int, most: int) -> RequestError:
    """What is said of an answer that is too large."""
    detail = f"the answer to {rows:,} rows has more than {most:,} bytes"
    return RequestError(413, f"{detail}: give fewer in one request", field="instances")
