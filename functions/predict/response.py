"""Responses in API Gateway's form: status, headers with the request's id and the version, and a body of text."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.api.media_types import PROBLEM
from penstock.scoring.problems import RequestError

MAX_BYTES = 6_000_000
"""Lambda's limit for requests and responses."""
NONE: Mapping[str, str] = {}


def response(status: int, body: bytes, kind: str, headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """Build a response of payload format 2.0."""
    return {"statusCode": status, "headers": {"content-type": kind, **headers}, "body": body.decode()}


def document(about: Mapping[str, Any], headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """Build a response with a JSON document that is not a prediction."""
    return response(200, msgspec.json.encode(about), "application/json", headers)


def problem(error: RequestError, headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """Build a problem response (RFC 9457)."""
    return response(error.status, msgspec.json.encode(error.problem()), PROBLEM, headers)


def is_too_large(body: str, max_bytes: int) -> bool:
    """Return whether a body is beyond Lambda's limit, which counts the body with its quotes escaped."""
    return 2 * len(body) > max_bytes and len(msgspec.json.encode(body)) - len('""') > max_bytes


def too_many_rows(rows: int, max_bytes: int) -> RequestError:
    """Return the error for a response that is too large."""
    detail = f"the answer to {rows:,} rows has more than {max_bytes:,} bytes"
    return RequestError(413, f"{detail}: give fewer in one request", field="instances")
