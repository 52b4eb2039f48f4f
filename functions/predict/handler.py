"""One HTTPS request: complete from the feature store where there is one, decode, score, capture, answer.

What is imported here is the cold start. A published version loads and verifies its model when the process starts; the
version that CloudFormation made has none and says so.
"""

import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.predict import replies
from functions.predict.capture import Capture
from functions.predict.model_file import registered
from functions.predict.replies import MOST_BYTES, NONE
from penstock import media, payloads
from penstock.feeds import Instances
from penstock.media import Media
from penstock.problems import RequestError
from penstock.scoring import Model
from penstock.settings_predict import PredictSettings

if TYPE_CHECKING:
    from functions.predict.lookup import Lookup

settings = PredictSettings.read()
MOST_ANSWERED = MOST_BYTES
PREDICT, OPENAPI, PING = "/predict", "/openapi.json", "/ping"
METHODS = {PREDICT: "POST", OPENAPI: "GET", PING: "GET"}
RETRY = {"retry-after": "1"}


def _load() -> Model | None:
    if not settings.model_key:
        return None
    return Model(
        registered(settings), sha256=settings.model_sha256, max_rows=int(settings.max_rows), name=settings.model_key
    )


def _lookup() -> "Lookup | None":
    if model is None or not settings.feature_store:
        return None
    from functions.predict.lookup import Lookup  # noqa: PLC0415 - a model without a feature store does not load it

    return Lookup(settings.feature_store, model.signature)


model = _load()
lookup = _lookup()
capture = Capture(settings, model.signature if model else None)
VERSION: Mapping[str, str] = {"x-penstock-version": settings.version} if model else {}


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
        if path == PREDICT:
            return _predicted(_live(), event, headers)
        return replies.document(_about(_live()) if path == PING else _described(_live(), event), headers)
    except RequestError as error:
        return replies.problem(error, headers | (RETRY if model and error.status == 503 else {}))


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


def _live() -> Model:
    if model is None:
        mend = f"approve one with `penstock approve {settings.model} --reason …`"
        raise RequestError(503, f"no version of {settings.model} is live yet: {mend}")
    return model


def _about(live: Model) -> dict[str, Any]:
    return {"model": settings.model, "version": int(settings.version), "sha256": live.sha256}


def _described(live: Model, event: Mapping[str, Any]) -> dict[str, Any]:
    from functions.predict.described import described  # noqa: PLC0415 - no part of a cold start that predicts

    return described(settings, live, event)


def _predicted(live: Model, event: Mapping[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Decode, score, capture, answer.

    Raises:
        RequestError: whatever is wrong with the request.
    """
    started = time.perf_counter()
    rows, kind = _asked(live, event)
    predictions = _predictions(live, rows, headers["x-request-id"])
    seconds = time.perf_counter() - started
    reply = _answered(_explained(live, rows, predictions, event), kind, headers)
    if not _unseen(event):
        capture.send(rows, predictions, datetime.now(UTC), seconds)
    return reply


def _asked(live: Model, event: Mapping[str, Any]) -> tuple[Instances, Media]:
    """The rows, and the content type of the answer."""
    given = {name.lower(): value for name, value in (event.get("headers") or NONE).items()}
    came, header = media.sent(given.get("content-type"))
    kind = media.wanted(given.get("accept"), came)
    body = payloads.request(_body(event), came, live.signature, header=header, most=live.max_rows)
    if lookup is not None and not _unseen(event):
        body = lookup.completed(body)
    return payloads.decoded(live.instances, body, live.signature), kind


def _unseen(event: Mapping[str, Any]) -> bool:
    """Whether a rollout asks, and no caller: golden examples, or captured rows for a shadow.

    Both are whole rows: what they lack was missing when they were scored. API Gateway's events have neither name.
    """
    return bool(event.get("smoke_test") or event.get("shadow"))


def _predictions(live: Model, rows: Instances, request: str) -> list[dict[str, Any]]:
    scores = enumerate(live.score_instances(rows))
    return [{"id": f"{request}-{index}"} | live.prediction(score) for index, score in scores]


def _explained(
    live: Model, rows: Instances, predictions: list[dict[str, Any]], event: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The predictions as they are answered.

    An explanation is not captured: it follows from the row and the version, whenever it is asked for again.
    """
    query = event.get("queryStringParameters")
    if not query:
        return predictions
    from penstock.explaining import explained  # noqa: PLC0415 - no part of a cold start that does not explain

    return explained(live, rows, predictions, query)


def _answered(predictions: list[dict[str, Any]], kind: Media, headers: dict[str, str]) -> dict[str, Any]:
    answer = {"model": settings.model, "version": int(settings.version), "predictions": predictions}
    first = {"x-penstock-inference-id": predictions[0]["id"]}
    reply = replies.reply(200, payloads.encoded(answer, kind), kind, headers | first)
    if replies.too_large(reply["body"], MOST_ANSWERED):
        detail = f"the answer to {len(predictions):,} rows has more than {MOST_ANSWERED:,} bytes"
        raise RequestError(413, f"{detail}: give fewer in one request", field="instances")
    return reply


def _body(event: Mapping[str, Any]) -> bytes:
    body = (
        base64.b64decode(event["body"])
        if event.get("isBase64Encoded")
        else (event.get("body") or "").encode("utf-8", "surrogatepass")
    )
    if len(body) > MOST_BYTES:
        raise RequestError(413, f"the body has {len(body):,} bytes, at most {MOST_BYTES:,} are taken")
    return body
