"""Content types of requests and responses, and content negotiation by the request's headers (RFC 9110)."""

from typing import Literal, get_args

from penstock.scoring.problems import RequestError

Media = Literal["application/json", "text/csv", "application/jsonlines"]
SUPPORTED: tuple[Media, ...] = get_args(Media)
JSON, CSV, JSON_LINES = SUPPORTED
PROBLEM = "application/problem+json"
NAMES: dict[str, Media] = {
    JSON: JSON,
    CSV: CSV,
    JSON_LINES: JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
}
"""JSON Lines has no registered media type; these names are in use."""
HEADERLESS = "absent"
CHARSETS = {"utf-8", "utf8", "us-ascii"}


def parse_content_type(content_type: str | None) -> tuple[Media, bool]:
    """Return the media type of a request's body, and whether a CSV's first row is its header.

    Args:
        content_type: the header's value; None means JSON.

    Raises:
        RequestError: 415, an unsupported media type or charset.
    """
    if content_type is None or content_type == JSON:
        return JSON, True
    kind, parameters = _split_parameters(content_type)
    if kind not in NAMES:
        raise RequestError(415, f"the body is {kind or 'nothing'!r}; taken are {', '.join(SUPPORTED)}")
    if (charset := parameters.get("charset", "utf-8").lower()) not in CHARSETS:
        raise RequestError(415, f"the body is in {charset!r}; taken is utf-8")
    return NAMES[kind], parameters.get("header") != HEADERLESS


def negotiate(accept: str | None, request_media: Media) -> Media:
    """Choose the media type of the response: the one accepted most; among equals, the request's own.

    Args:
        accept: the header's value; None accepts anything.
        request_media: the media type of the request's body.

    Raises:
        RequestError: 406, no supported media type is accepted.
    """
    if accept is None or accept == "*/*":
        return request_media
    ranges = [_split_parameters(item) for item in accept.split(",")]
    candidates = (request_media, *(media for media in SUPPORTED if media != request_media))
    qualities = {media: _quality(media, ranges) for media in candidates}
    best = max(candidates, key=qualities.__getitem__)
    if not qualities[best]:
        raise RequestError(406, f"the answer would be none of {accept[:200]!r}; there are {', '.join(SUPPORTED)}")
    return best


def _split_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Split a media type or range into its name in lower case and its parameters."""
    kind, *rest = value.split(";")
    pairs = (item.partition("=") for item in rest)
    return kind.strip().lower(), {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}


def _quality(media: Media, ranges: list[tuple[str, dict[str, str]]]) -> float:
    """Return the quality of a media type, from 0 (not accepted) to 1; the most specific range decides."""
    family = media.partition("/")[0] + "/*"
    for matches in ({name for name in NAMES if NAMES[name] == media}, {family}, {"*/*"}):
        qualities = [_weight(parameters.get("q", "1")) for kind, parameters in ranges if kind in matches]
        if qualities:
            return max(qualities)
    return 0.0


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
