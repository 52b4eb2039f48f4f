"""Parse a predict request from API Gateway's event: its content type, the response's, and its body."""

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from functions.predict.response import MAX_BYTES, NONE
from penstock.api import media_types as media
from penstock.api.media_types import Media
from penstock.scoring.problems import RequestError


class PredictRequest(NamedTuple):
    """One request for predictions."""

    content_type: Media
    header: bool
    """Whether a CSV's first row names its columns."""
    response_type: Media
    """Content type of the response."""
    body: bytes


def parse_request(event: Mapping[str, Any]) -> PredictRequest:
    """Parse an API Gateway HTTP API event.

    Raises:
        RequestError: 406, 413 or 415.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or NONE).items()}
    content_type, header = media.parse_content_type(headers.get("content-type"))
    response_type = media.negotiate(headers.get("accept"), content_type)
    return PredictRequest(content_type, header, response_type, _body(event))


def query_parameters(event: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the query's names and values; values of a repeated name are joined by a comma."""
    return event.get("queryStringParameters") or NONE


def _body(event: Mapping[str, Any]) -> bytes:
    body = (
        base64.b64decode(event["body"])
        if event.get("isBase64Encoded")
        else (event.get("body") or "").encode("utf-8", "surrogatepass")
    )
    if len(body) > MAX_BYTES:
        raise RequestError(413, f"the body has {len(body):,} bytes, at most {MAX_BYTES:,} are taken")
    return body
