"""The error for a bad request, as every way to a model returns it (RFC 9457).

Apart from `model`, so that modules that only read or write requests do not load onnxruntime.
"""

from typing import Any

TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    503: "Service Unavailable",
}


class RequestError(Exception):
    """A request that cannot be answered; becomes an `application/problem+json` answer."""

    def __init__(self, status: int, detail: str, *, field: str | None = None, row: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.row = status, detail, field, row

    def problem(self) -> dict[str, Any]:
        """Return the problem document (RFC 9457), with `field` and 0-based `row` where they are known."""
        document = {
            "type": "about:blank", "title": TITLES[self.status], "status": self.status, "detail": self.detail
        }  # fmt: skip
        place = {"field": self.field, "row": self.row}
        return document | {name: value for name, value in place.items() if value is not None}
