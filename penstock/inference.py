"""What predict tells the container of a request beside its body, in the headers that SageMaker hands on.

The id goes in both headers. SageMaker promises to forward custom attributes verbatim; of its own id for inferences it
only says that data capture records it.
"""

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_ASIDE = ";not-captured"
"""Custom attributes are visible ASCII, without spaces."""


def attributes(request: str, *, captured: bool) -> str:
    """The custom attributes: the request's id, and whether it is to be captured."""
    return request if captured else f"{request}{_ASIDE}"


def told(attributes: str | None) -> tuple[str, bool]:
    """A request's id, empty where nobody gave one, and whether it is to be captured.

    Args:
        attributes: the header's value; None without it.
    """
    given = attributes or ""
    return given.removesuffix(_ASIDE), not given.endswith(_ASIDE)
