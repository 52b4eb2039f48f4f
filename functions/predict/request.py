"""A request's parts, as whatever scores it takes them: what it is, what is wanted back, and its bytes."""

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from functions.predict.response import MOST_BYTES, NONE
from penstock.api import media_types as media
from penstock.api.media_types import Media
from penstock.scoring.problems import RequestError


class Asked(NamedTuple):
    """One request for predictions."""

    came: Media
    header: bool
    """Whether a CSV's first row names its columns."""
    goes: Media
    """Content type of the answer."""
    body: bytes


def asked(event: Mapping[str, Any]) -> Asked:
    """The parts of an API Gateway HTTP API event.

    Raises:
        RequestError: 406, 413 or 415.
    """
    given = {name.lower(): value for name, value in (event.get("headers") or NONE).items()}
    came, header = media.parse_content_type(given.get("content-type"))
    return Asked(came, header, media.negotiate(given.get("accept"), came), _body(event))


def query(event: Mapping[str, Any]) -> Mapping[str, str]:
    """The query's names and values; what came twice is joined by a comma."""
    return event.get("queryStringParameters") or NONE


def _body(event: Mapping[str, Any]) -> bytes:
    body = (
        base64.b64decode(event["body"])
        if event.get("isBase64Encoded")
        else (event.get("body") or "").encode("utf-8", "surrogatepass")
    )
    if len(body) > MOST_BYTES:
        raise RequestError(413, f"the body has {len(body):,} bytes, at most {MOST_BYTES:,} are taken")
    return body
