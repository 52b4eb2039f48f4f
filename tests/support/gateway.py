"""A fake of API Gateway's HTTP API for the predict handler, as a WSGI app."""

import base64
from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

TEXT = ("text/", "application/json", "application/javascript", "application/xml")
"""Content types that API Gateway passes as text; others are base64."""
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 of somebody who may"}
"""The header that this fake accepts as a signature."""
Start = Callable[[str, list[tuple[str, str]]], Any]


class Gateway:
    """Routes of payload format 2.0; other requests get API Gateway's own errors."""

    def __init__(self, function: ModuleType, routes: dict[str, str]) -> None:
        self._function, self._routes = function, routes
        self.answered: list[tuple[dict[str, Any], dict[str, Any]]] = []
        """Events and their replies."""

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer a WSGI request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if self._routes.get(path) != method:
            return _refused(HTTPStatus.NOT_FOUND, start)
        if environ.get("HTTP_AUTHORIZATION") != SIGNED["Authorization"]:
            return _refused(HTTPStatus.FORBIDDEN, start)
        event = _event(environ, method, path)
        reply = self._function.handler(event, None)
        self.answered.append((event, reply))
        status = HTTPStatus(reply["statusCode"])
        start(f"{status.value} {status.phrase}", list(reply["headers"].items()))
        return [reply["body"].encode()]


def _refused(status: HTTPStatus, start: Start) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", [("content-type", "application/json")])
    return [f'{{"message":"{status.phrase}"}}'.encode()]


def _event(environ: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    variables = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    headers = {name.lower().replace("_", "-"): value for name, value in variables.items()}
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    text = headers.get("content-type", "").startswith(TEXT) and _decodes(body)
    return {
        "version": "2.0",
        "headers": headers,
        **_query(environ.get("QUERY_STRING", "")),
        "requestContext": {
            "requestId": "fuzz=",
            "authorizer": {"iam": {}},
            "http": {"method": method, "path": path},
        },
        "body": body.decode() if text else base64.b64encode(body).decode(),
        "isBase64Encoded": not text,
    }


def _query(text: str) -> dict[str, Any]:
    """Return the event's query, repeated values joined by a comma; without a query there is no such field."""
    pairs = parse_qs(text, keep_blank_values=True)
    return {"queryStringParameters": {name: ",".join(values) for name, values in pairs.items()}} if pairs else {}


def _decodes(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
