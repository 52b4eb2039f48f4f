"""Requests of a version whose endpoint scores them: completed where there is a feature store, and passed on.

What decodes, checks, scores, captures and counts is the container. Counted here is only whether it answered at all,
for the rollout's alarm: Lambda's own `Errors` see nothing of an answer that is a 503.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions.predict import response as replies
from functions.predict.endpoint_client import Endpoint, RefusedError
from functions.predict.request import Asked, asked, query
from penstock.api import payloads
from penstock.api import sagemaker_headers as inference
from penstock.api.media_types import CSV, JSON, JSON_LINES, PROBLEM
from penstock.api.synthetic_request import is_synthetic
from penstock.aws import emf
from penstock.predict_settings import PredictSettings
from penstock.scoring.problems import RequestError

if TYPE_CHECKING:
    from functions.predict.feature_lookup import Lookup
    from penstock.scoring.model import Model

HEADERLESS = f"{CSV}; header=absent"


class Passing:
    """What stands in front of an endpoint."""

    def __init__(self, settings: PredictSettings, most: int = replies.MOST_BYTES) -> None:
        self.endpoint = Endpoint(settings.endpoint, float(settings.endpoint_seconds))
        self._most = most
        self._namespace = emf.namespace(settings.stage, settings.model)

    def answered(
        self, event: Mapping[str, Any], headers: Mapping[str, str], completing: "tuple[Model, Lookup] | None"
    ) -> dict[str, Any]:
        """The container's answer, or its refusal.

        Args:
            event: API Gateway's.
            headers: of the answer; `x-request-id` is the request's.
            completing: the model, for its signature, and its store, where requests are completed.

        Raises:
            RequestError: what is wrong with the request before it is passed on, or no answer.
        """
        given, captured = asked(event), not is_synthetic(event)
        if completing is not None and captured:
            given = _completed(given, *completing)
        request = headers["x-request-id"]
        told = inference.headers(request, query(event), captured=captured)
        try:
            answer = self._counted(given, told)
        except RefusedError as refused:
            return replies.reply(refused.status, refused.problem, PROBLEM, headers)
        first = {"x-penstock-inference-id": f"{request}-0"}
        reply = replies.reply(200, answer, given.goes, {**headers, **first})
        if replies.too_large(reply["body"], self._most):
            raise replies.too_many(_rows(answer, given.goes), self._most)
        return reply

    def _counted(self, given: Asked, told: Mapping[str, str]) -> bytes:
        came = HEADERLESS if given.came == CSV and not given.header else given.came
        unanswered = 0
        try:
            return self.endpoint.ask(given.body, came=came, goes=given.goes, told=told)
        except RequestError:
            unanswered = 1
            raise
        finally:
            by = {emf.LAMBDA_VERSION: os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")}
            document = emf.document(self._namespace, {emf.UNANSWERED: unanswered}, time.time(), by)
            sys.stdout.write(f"{json.dumps(document)}\n")


def _completed(given: Asked, model: "Model", lookup: "Lookup") -> Asked:
    """The request with what its rows lacked, as JSON; whatever it came as, the answer goes as it would have."""
    body = payloads.to_json_request(given.body, given.came, model.signature, header=given.header, most=model.max_rows)
    return Asked(JSON, True, given.goes, lookup.completed(body))


def _rows(answer: bytes, kind: str) -> int:
    """How many predictions an answer holds."""
    if kind == JSON:
        return len(json.loads(answer)["predictions"])
    return answer.count(b"\n") - (kind != JSON_LINES)
