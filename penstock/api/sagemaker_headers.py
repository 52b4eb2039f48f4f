"""Headers in which predict passes a request's id, query and capture flag to the SageMaker container.

SageMaker forwards neither a path nor a query. It documents that custom attributes are forwarded verbatim; of its own
inference id it only documents that data capture records it. Therefore the id goes in both headers.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from penstock.scoring.problems import RequestError

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
MOST_ATTRIBUTES = 1024
"""Most characters that SageMaker accepts."""
PARAMETER = "explain"
"""Query parameter, the same for every content type: whether predictions are explained."""


class RequestAttributes(NamedTuple):
    """A request's custom attributes."""

    request: str = ""
    """The request's id; empty if the caller sent none."""
    captured: bool = True
    """Whether the request is to be captured."""
    query: Mapping[str, str] = {}
    """The query of the HTTPS request."""


def headers(request: str, query: Mapping[str, str], *, captured: bool) -> dict[str, str]:
    """Return the headers of a request to the container.

    Args:
        request: the request's id.
        query: names and values.
        captured: whether the request is to be captured.

    Raises:
        RequestError: 414, the query is too long for the header.
    """
    values = {"id": request} | ({} if captured else {"captured": "false"})
    attributes = urlencode(values | ({"query": urlencode(query)} if query else {}))
    if len(attributes) > MOST_ATTRIBUTES:
        raise RequestError(414, f"the query is too long: {PARAMETER} is all that is known in it")
    return {INFERENCE_ID: request, ATTRIBUTES: attributes}


def parse_attributes(attributes: str | None) -> RequestAttributes:
    """Parse the custom attributes.

    A caller that invokes the endpoint directly may send attributes of its own, and `explain=true`.

    Args:
        attributes: the header's value; None if it is absent.
    """
    if not attributes:
        return RequestAttributes()
    values = parse_query(attributes)
    direct = {PARAMETER: values[PARAMETER]} if PARAMETER in values else {}
    query = parse_query(values["query"]) if "query" in values else direct
    return RequestAttributes(values.get("id", ""), values.get("captured") != "false", query)


def parse_query(query: str) -> dict[str, str]:
    """Parse a query into names and values; join repeated values by a comma, as API Gateway does."""
    return {name: ",".join(values) for name, values in parse_qs(query, keep_blank_values=True).items()}
