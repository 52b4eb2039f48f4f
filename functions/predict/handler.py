"""Answer one HTTPS request: complete it from the feature store where there is one, decode, score, capture, respond.

Every import here adds to the cold start. A published version loads and verifies its model when the process starts, or
forwards requests to its endpoint; the version that CloudFormation deploys first has no model and answers 503.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.predict import response as responses
from functions.predict.capture import Capture
from functions.predict.model_file import read_model_file
from functions.predict.request import parse_request, query_parameters
from functions.predict.response import MAX_BYTES
from penstock.api import payloads
from penstock.api.media_types import Media
from penstock.api.synthetic_request import is_synthetic
from penstock.predict_settings import PredictSettings
from penstock.scoring.problems import RequestError

if TYPE_CHECKING:
    from functions.predict.endpoint_proxy import EndpointProxy
    from functions.predict.feature_lookup import Lookup
    from penstock.scoring.model import Model
    from penstock.scoring.tensors import Instances

settings = PredictSettings.read()
MAX_RESPONSE_BYTES = MAX_BYTES
PREDICT, OPENAPI, PING = "/predict", "/openapi.json", "/ping"
METHODS = {PREDICT: "POST", OPENAPI: "GET", PING: "GET"}
RETRY = {"retry-after": "1"}


@cache
def _load_model() -> "Model":
    from penstock.scoring.model import Model  # noqa: PLC0415 - where an endpoint scores, onnxruntime is not loaded

    return Model(
        read_model_file(settings),
        sha256=settings.model_sha256,
        max_rows=int(settings.max_rows),
        name=settings.model_key,
    )


def _make_lookup() -> "Lookup | None":
    if model is None or not settings.feature_store:
        return None
    from functions.predict.feature_lookup import Lookup  # noqa: PLC0415 - a model without a feature store does not load it

    return Lookup(settings.feature_store, model.signature)


def _make_proxy() -> "EndpointProxy | None":
    if not settings.endpoint:
        return None
    from functions.predict.endpoint_proxy import EndpointProxy  # noqa: PLC0415 - only a version with an endpoint loads it

    return EndpointProxy(settings)


proxy = _make_proxy()
# With an endpoint only the signature is needed: at once for a feature store, otherwise when it is first used.
model = _load_model() if settings.model_key and (proxy is None or settings.feature_store) else None
lookup = _make_lookup()
# With an endpoint the container captures: here no extension is registered and no key of hashes is read.
capture = Capture(settings, model.signature if model and proxy is None else None)
VERSION: Mapping[str, str] = {"x-penstock-version": settings.version} if settings.model_key else {}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event (payload 2.0)."""
    try:
        return _respond(event)
    finally:
        capture.release()


def _respond(event: dict[str, Any]) -> dict[str, Any]:
    headers = {"x-request-id": event["requestContext"]["requestId"], **VERSION}
    try:
        path = _path(event)
        _require_version()
        if path == PREDICT:
            return _forward(proxy, event, headers) if proxy else _predict(_live_model(), event, headers)
        return responses.document(_about() if path == PING else _openapi(_live_model(), event), headers)
    except RequestError as error:
        return responses.problem(error, headers | (RETRY if settings.model_key and error.status == 503 else {}))


def _path(event: Mapping[str, Any]) -> str:
    """Return the request's path; API Gateway routes no others here, but the function can be invoked directly.

    Raises:
        RequestError: 404 or 405.
    """
    request = event["requestContext"].get("http", {})
    path = request.get("path", PREDICT)
    if path not in METHODS:
        raise RequestError(404, f"there is nothing at {path[:200]}: ask {', '.join(METHODS)}")
    method = request.get("method", METHODS[path])
    if method != METHODS[path]:
        raise RequestError(405, f"{path} takes {METHODS[path]}, not {method}")
    return str(path)


def _require_version() -> None:
    if not settings.model_key:
        mend = f"approve one with `penstock approve {settings.model} --reason …`"
        raise RequestError(503, f"no version of {settings.model} is live yet: {mend}")


def _live_model() -> "Model":
    return _load_model() if model is None else model


def _about() -> dict[str, Any]:
    return {"model": settings.model, "version": int(settings.version), "sha256": settings.model_sha256}


def _openapi(live: "Model", event: Mapping[str, Any]) -> dict[str, Any]:
    from functions.predict.openapi_route import openapi_document  # noqa: PLC0415 - a cold start that predicts does not load it

    return openapi_document(settings, live, event)


def _forward(front: "EndpointProxy", event: Mapping[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return front.respond(event, headers, (_live_model(), lookup) if lookup is not None else None)


def _predict(live: "Model", event: Mapping[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Decode, score, capture, respond.

    Raises:
        RequestError: the request's fault.
    """
    started = time.perf_counter()
    rows, kind = _decode(live, event)
    predictions = _predictions(live, rows, headers["x-request-id"])
    seconds = time.perf_counter() - started
    response = _encode(_add_explanations(live, rows, predictions, event), kind, headers)
    if not is_synthetic(event):
        capture.send(rows, predictions, datetime.now(UTC), seconds)
    return response


def _decode(live: "Model", event: Mapping[str, Any]) -> "tuple[Instances, Media]":
    """Return the rows, and the content type of the response."""
    request = parse_request(event)
    body = payloads.to_json_request(
        request.body, request.content_type, live.signature, header=request.header, most=live.max_rows
    )
    if lookup is not None and not is_synthetic(event):
        body = lookup.complete(body)
    return payloads.decode_with(live.instances, body, live.signature), request.response_type


def _predictions(live: "Model", rows: "Instances", request: str) -> list[dict[str, Any]]:
    scores = enumerate(live.score_instances(rows))
    return [{"id": f"{request}-{index}"} | live.prediction(score) for index, score in scores]


def _add_explanations(
    live: "Model", rows: "Instances", predictions: list[dict[str, Any]], event: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the predictions of the response, with explanations where the query has `explain`.

    An explanation is not captured: it can be computed again from the row and the version.
    """
    if not (query := query_parameters(event)):
        return predictions
    from penstock.api.explain import add_explanations  # noqa: PLC0415 - no part of a cold start that does not explain

    return add_explanations(live, rows, predictions, query)


def _encode(predictions: list[dict[str, Any]], kind: Media, headers: dict[str, str]) -> dict[str, Any]:
    document = {"model": settings.model, "version": int(settings.version), "predictions": predictions}
    first = {"x-penstock-inference-id": predictions[0]["id"]}
    response = responses.response(200, payloads.encode_response(document, kind), kind, headers | first)
    if responses.is_too_large(response["body"], MAX_RESPONSE_BYTES):
        raise responses.too_many_rows(len(predictions), MAX_RESPONSE_BYTES)
    return response
