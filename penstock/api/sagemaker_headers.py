"""What predict tells the container of a request beside its body, in the headers that SageMaker hands on.

SageMaker hands on neither a path nor a query. It promises to forward custom attributes verbatim; of its own id for
inferences it only says that data capture records it, so the id goes in both.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from penstock.scoring.problems import RequestError

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
MOST_ATTRIBUTES = 1024
"""Characters that SageMaker takes."""
PARAMETER = "explain"
"""Of the query, in every content type: whether answers are explained."""


class Told(NamedTuple):
    """What a request's custom attributes say."""

    request: str = ""
    """Its id; empty where nobody gave one."""
    captured: bool = True
    """Whether it is to be captured."""
    query: Mapping[str, str] = {}
    """As the predict function got it."""


def headers(request: str, query: Mapping[str, str], *, captured: bool) -> dict[str, str]:
    """The headers that tell the container of a request.

    Args:
        request: its id.
        query: its names and values.
        captured: whether it is to be captured.

    Raises:
        RequestError: 414, a query that is too long to be handed on.
    """
    told = {"id": request} | ({} if captured else {"captured": "false"})
    attributes = urlencode(told | ({"query": urlencode(query)} if query else {}))
    if len(attributes) > MOST_ATTRIBUTES:
        raise RequestError(414, f"the query is too long: {PARAMETER} is all that is known in it")
    return {INFERENCE_ID: request, ATTRIBUTES: attributes}


def told(attributes: str | None) -> Told:
    """What the custom attributes say.

    Whoever asks the endpoint itself keeps there what is theirs, and may say `explain=true`.

    Args:
        attributes: the header's value; None without it.
    """
    if not attributes:
        return Told()
    found = named(attributes)
    query = named(found["query"]) if "query" in found else {PARAMETER: found[PARAMETER]} if PARAMETER in found else {}
    return Told(found.get("id", ""), found.get("captured") != "false", query)


def named(query: str) -> dict[str, str]:
    """A query's names and values; what comes twice is joined by a comma, as API Gateway does."""
    return {name: ",".join(values) for name, values in parse_qs(query, keep_blank_values=True).items()}
