"""Which content types a model takes and answers, and how a request's headers choose among them (RFC 9110)."""

from typing import Literal, get_args

from penstock.scoring.problems import RequestError

Media = Literal["application/json", "text/csv", "application/jsonlines"]
TAKEN: tuple[Media, ...] = get_args(Media)
JSON, CSV, JSON_LINES = TAKEN
PROBLEM = "application/problem+json"
NAMES: dict[str, Media] = {
    JSON: JSON,
    CSV: CSV,
    JSON_LINES: JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
}
"""JSON Lines has no registered name; these are the ones in use."""
HEADERLESS = "absent"
CHARSETS = {"utf-8", "utf8", "us-ascii"}


def sent(content_type: str | None) -> tuple[Media, bool]:
    """What a request's body is, and whether a CSV's first row is its header.

    Args:
        content_type: the header's value; without one a body is JSON.

    Raises:
        RequestError: 415, for what is not taken.
    """
    if content_type is None or content_type == JSON:
        return JSON, True
    kind, parameters = _parted(content_type)
    if kind not in NAMES:
        raise RequestError(415, f"the body is {kind or 'nothing'!r}; taken are {', '.join(TAKEN)}")
    if (charset := parameters.get("charset", "utf-8").lower()) not in CHARSETS:
        raise RequestError(415, f"the body is in {charset!r}; taken is utf-8")
    return NAMES[kind], parameters.get("header") != HEADERLESS


def wanted(accept: str | None, came: Media) -> Media:
    """What the answer is to be: the most wanted of what there is, of equals what the request came as.

    Args:
        accept: the header's value; without one, anything.
        came: what the request's body is.

    Raises:
        RequestError: 406, where none of it is accepted.
    """
    if accept is None or accept == "*/*":
        return came
    ranges = [_parted(item) for item in accept.split(",")]
    offered = (came, *(media for media in TAKEN if media != came))
    qualities = {media: _quality(media, ranges) for media in offered}
    best = max(offered, key=qualities.__getitem__)
    if not qualities[best]:
        raise RequestError(406, f"the answer would be none of {accept[:200]!r}; there are {', '.join(TAKEN)}")
    return best


def _parted(value: str) -> tuple[str, dict[str, str]]:
    """A media type or range in lower case, and its parameters."""
    kind, *rest = value.split(";")
    pairs = (item.partition("=") for item in rest)
    return kind.strip().lower(), {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs}


def _quality(media: Media, ranges: list[tuple[str, dict[str, str]]]) -> float:
    """From 0 (not wanted) to 1; the most specific range decides."""
    family = media.partition("/")[0] + "/*"
    for form in ({name for name in NAMES if NAMES[name] == media}, {family}, {"*/*"}):
        found = [_weight(parameters.get("q", "1")) for kind, parameters in ranges if kind in form]
        if found:
            return max(found)
    return 0.0


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
