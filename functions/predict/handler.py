"""One HTTPS request: complete from the feature store where there is one, decode, score, capture, answer.

What is imported here is the cold start. A published version loads and verifies its model when the process starts; the
version that CloudFormation made has none and says so.
"""

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.predict.capture import Capture
from functions.predict.model_file import registered
from penstock.scoring import Model, RequestError
from penstock.settings_predict import PredictSettings

if TYPE_CHECKING:
    from functions.predict.lookup import Lookup

settings = PredictSettings.read()
JSON, PROBLEM = "application/json", "application/problem+json"
MOST_BYTES = MOST_ANSWERED = 6_000_000
NONE: Mapping[str, str] = {}
RETRY: Mapping[str, str] = {"retry-after": "1"}


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


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """An API Gateway HTTP API event (payload 2.0) in, its response out."""
    started = time.perf_counter()
    if model is None:
        mend = f"approve one with `penstock approve {settings.model} --reason …`"
        detail = f"no version of {settings.model} is live yet: {mend}"
        problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": detail}
        return _reply(503, problem, PROBLEM)
    try:
        body = base64.b64decode(event["body"]) if event.get("isBase64Encoded") else (event.get("body") or "").encode()
        if len(body) > MOST_BYTES:
            raise RequestError(413, f"the body has {len(body):,} bytes, at most {MOST_BYTES:,} are taken")
        # Golden examples are whole rows: what they lack was missing when they were scored.
        if lookup is not None and not event.get("smoke_test"):
            body = lookup.completed(body)
        rows = model.decode(body)
    except RequestError as error:
        return _reply(error.status, error.problem(), PROBLEM, RETRY if error.status == 503 else NONE)
    request = event["requestContext"]["requestId"]
    scores = model.score_rows(rows).tolist()
    predictions = [{"id": f"{request}-{index}"} | model.prediction(score) for index, score in enumerate(scores)]
    seconds = time.perf_counter() - started
    reply = _reply(200, {"model": settings.model, "version": int(settings.version), "predictions": predictions}, JSON)
    if _too_large(reply["body"]):
        detail = f"the answer to {len(rows):,} rows has more than {MOST_ANSWERED:,} bytes: give fewer in one request"
        return _reply(413, RequestError(413, detail, field="instances").problem(), PROBLEM)
    if not event.get("smoke_test"):
        capture.send(rows, predictions, datetime.now(UTC), seconds)
    return reply


def _too_large(body: str) -> bool:
    """Lambda takes no reply beyond its limit, in which each quote of the body is escaped; many classes are many."""
    return 2 * len(body) > MOST_ANSWERED and len(body) + body.count('"') > MOST_ANSWERED


def _reply(
    status: int, document: dict[str, Any], content_type: str, headers: Mapping[str, str] = NONE
) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": content_type, **headers}, "body": json.dumps(document)}
