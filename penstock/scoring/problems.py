"""What is wrong with a request, as every door to a model says it.

Apart from `scoring`, so that what only reads or writes requests does not load onnxruntime.
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
        """The problem document (RFC 9457), with `field` and 0-based `row` where they are known."""
        where = {"field": self.field, "row": self.row}
        title = TITLES[self.status]
        found = {name: value for name, value in where.items() if value is not None}
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail} | found
