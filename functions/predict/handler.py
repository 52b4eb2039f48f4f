"""One HTTPS request: complete from the feature store where there is one, decode, score, capture, answer.

What is imported here is the cold start. A published version loads and verifies its model when the process starts, or
passes requests to the endpoint that does; the version that CloudFormation made has none and says so.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.predict import response as replies
from functions.predict.capture import Capture
from functions.predict.model_file import registered
from functions.predict.request import asked, query
from functions.predict.response import MOST_BYTES
from penstock.api import payloads
from penstock.api.media_types import Media
from penstock.api.synthetic_request import is_synthetic
from penstock.predict_settings import PredictSettings
from penstock.scoring.problems import RequestError

if TYPE_CHECKING:
    from functions.predict.endpoint_proxy import Passing
    from functions.predict.feature_lookup import Lookup
    from penstock.scoring.model import Model
    from penstock.scoring.tensors import Instances

settings = PredictSettings.read()
MOST_ANSWERED = MOST_BYTES
PREDICT, OPENAPI, PING = "/predict", "/openapi.json", "/ping"
METHODS = {PREDICT: "POST", OPENAPI: "GET", PING: "GET"}
RETRY = {"retry-after": "1"}


@cache
def _load() -> "Model":
    from penstock.scoring.model import Model  # noqa: PLC0415 - where an endpoint scores, onnxruntime is not loaded

    return Model(
        registered(settings), sha256=settings.model_sha256, max_rows=int(settings.max_rows), name=settings.model_key
    )


def _lookup() -> "Lookup | None":
    if model is None or not settings.feature_store:
        return None
    from functions.predict.feature_lookup import Lookup  # noqa: PLC0415 - a model without a feature store does not load it

    return Lookup(settings.feature_store, model.signature)


def _passing() -> "Passing | None":
    if not settings.endpoint:
        return None
    from functions.predict.endpoint_proxy import Passing  # noqa: PLC0415 - a version that scores itself does not load it

    return Passing(settings)


passing = _passing()
# In front of an endpoint it is read for the signature alone: at once by a feature store, else when it is asked for.
model = _load() if settings.model_key and (passing is None or settings.feature_store) else None
lookup = _lookup()
# In front of an endpoint nothing is captured here: no extension, and no key of hashes, is asked for.
capture = Capture(settings, model.signature if model and passing is None else None)
VERSION: Mapping[str, str] = {"x-penstock-version": settings.version} if settings.model_key else {}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """An API Gateway HTTP API event (payload 2.0) in, its response out."""
    try:
        return _replied(event)
    finally:
        capture.release()


def _replied(event: dict[str, Any]) -> dict[str, Any]:
    headers = {"x-request-id": event["requestContext"]["requestId"], **VERSION}
    try:
        path = _path(event)
        _published()
        if path == PREDICT:
            return _passed(passing, event, headers) if passing else _predicted(_live(), event, headers)
        return replies.document(_about() if path == PING else _described(_live(), event), headers)
    except RequestError as error:
        return replies.problem(error, headers | (RETRY if settings.model_key and error.status == 503 else {}))


def _path(event: Mapping[str, Any]) -> str:
    """Which of the paths is asked; API Gateway routes no other here, but whoever invokes the function may.

    Raises:
        RequestError: 404 or 405.
    """
    asked = event["requestContext"].get("http", {})
    path = asked.get("path", PREDICT)
    if path not in METHODS:
        raise RequestError(404, f"there is nothing at {path[:200]}: ask {', '.join(METHODS)}")
    method = asked.get("method", METHODS[path])
    if method != METHODS[path]:
        raise RequestError(405, f"{path} takes {METHODS[path]}, not {method}")
    return str(path)


def _published() -> None:
    if not settings.model_key:
        mend = f"approve one with `penstock approve {settings.model} --reason …`"
        raise RequestError(503, f"no version of {settings.model} is live yet: {mend}")


def _live() -> "Model":
    return _load() if model is None else model


def _about() -> dict[str, Any]:
    return {"model": settings.model, "version": int(settings.version), "sha256": settings.model_sha256}


def _described(live: "Model", event: Mapping[str, Any]) -> dict[str, Any]:
    from functions.predict.openapi_route import described  # noqa: PLC0415 - no part of a cold start that predicts

    return described(settings, live, event)


def _passed(front: "Passing", event: Mapping[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return front.answered(event, headers, (_live(), lookup) if lookup is not None else None)


def _predicted(live: "Model", event: Mapping[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Decode, score, capture, answer.

    Raises:
        RequestError: whatever is wrong with the request.
    """
    started = time.perf_counter()
    rows, kind = _asked(live, event)
    predictions = _predictions(live, rows, headers["x-request-id"])
    seconds = time.perf_counter() - started
    reply = _answered(_explained(live, rows, predictions, event), kind, headers)
    if not is_synthetic(event):
        capture.send(rows, predictions, datetime.now(UTC), seconds)
    return reply


def _asked(live: "Model", event: Mapping[str, Any]) -> "tuple[Instances, Media]":
    """The rows, and the content type of the answer."""
    given = asked(event)
    body = payloads.to_json_request(given.body, given.came, live.signature, header=given.header, most=live.max_rows)
    if lookup is not None and not is_synthetic(event):
        body = lookup.completed(body)
    return payloads.decode_with(live.instances, body, live.signature), given.goes


def _predictions(live: "Model", rows: "Instances", request: str) -> list[dict[str, Any]]:
    scores = enumerate(live.score_instances(rows))
    return [{"id": f"{request}-{index}"} | live.prediction(score) for index, score in scores]


def _explained(
    live: "Model", rows: "Instances", predictions: list[dict[str, Any]], event: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The predictions as they are answered.

    An explanation is not captured: it follows from the row and the version, whenever it is asked for again.
    """
    if not (given := query(event)):
        return predictions
    from penstock.api.explain import add_explanations  # noqa: PLC0415 - no part of a cold start that does not explain

    return add_explanations(live, rows, predictions, given)


def _answered(predictions: list[dict[str, Any]], kind: Media, headers: dict[str, str]) -> dict[str, Any]:
    answer = {"model": settings.model, "version": int(settings.version), "predictions": predictions}
    first = {"x-penstock-inference-id": predictions[0]["id"]}
    reply = replies.reply(200, payloads.encode_response(answer, kind), kind, headers | first)
    if replies.too_large(reply["body"], MOST_ANSWERED):
        raise replies.too_many(len(predictions), MOST_ANSWERED)
    return reply
