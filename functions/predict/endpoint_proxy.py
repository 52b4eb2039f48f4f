"""Proxy predict requests to the SageMaker endpoint, completed first where the model has a feature store.

The container decodes, checks, scores, captures and counts. This module counts only whether it answered, for the
rollout's alarm: Lambda's own `Errors` metric does not count a response that is a 503.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions.predict import response as responses
from functions.predict.endpoint_client import Endpoint, RefusedError
from functions.predict.request import PredictRequest, parse_request, query_parameters
from penstock.api import payloads, sagemaker_headers
from penstock.api.media_types import CSV, JSON, JSON_LINES, PROBLEM
from penstock.api.synthetic_request import is_synthetic
from penstock.aws import emf
from penstock.predict_settings import PredictSettings
from penstock.scoring.problems import RequestError

if TYPE_CHECKING:
    from functions.predict.feature_lookup import Lookup
    from penstock.scoring.model import Model

HEADERLESS = f"{CSV}; header=absent"


class EndpointProxy:
    """Forwards requests to an endpoint."""

    def __init__(self, settings: PredictSettings, max_bytes: int = responses.MAX_BYTES) -> None:
        self.endpoint = Endpoint(settings.endpoint, float(settings.endpoint_seconds))
        self._max_bytes = max_bytes
        self._namespace = emf.namespace(settings.stage, settings.model)

    def respond(
        self, event: Mapping[str, Any], headers: Mapping[str, str], completion: "tuple[Model, Lookup] | None"
    ) -> dict[str, Any]:
        """Return the container's response, or its refusal.

        Args:
            event: API Gateway's.
            headers: of the response; `x-request-id` is the request's id.
            completion: the model, for its signature, and its feature store; None where requests are not completed.

        Raises:
            RequestError: the request has a fault, or the endpoint does not answer.
        """
        request, captured = parse_request(event), not is_synthetic(event)
        if completion is not None and captured:
            request = _complete(request, *completion)
        identifier = headers["x-request-id"]
        context = sagemaker_headers.headers(identifier, query_parameters(event), captured=captured)
        try:
            body = self._invoke(request, context)
        except RefusedError as refused:
            return responses.response(refused.status, refused.problem, PROBLEM, headers)
        first = {"x-penstock-inference-id": f"{identifier}-0"}
        response = responses.response(200, body, request.response_type, {**headers, **first})
        if responses.is_too_large(response["body"], self._max_bytes):
            raise responses.too_many_rows(_prediction_count(body, request.response_type), self._max_bytes)
        return response

    def _invoke(self, request: PredictRequest, context: Mapping[str, str]) -> bytes:
        """Invoke the endpoint and emit the metric of unanswered requests."""
        content_type = HEADERLESS if request.content_type == CSV and not request.header else request.content_type
        unanswered = 0
        try:
            return self.endpoint.invoke(
                request.body, content_type=content_type, accept=request.response_type, context=context
            )
        except RequestError:
            unanswered = 1
            raise
        finally:
            by = {emf.LAMBDA_VERSION: os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")}
            document = emf.document(self._namespace, {emf.UNANSWERED: unanswered}, time.time(), by)
            sys.stdout.write(f"{json.dumps(document)}\n")


def _complete(request: PredictRequest, model: "Model", lookup: "Lookup") -> PredictRequest:
    """Return the request as JSON with its rows completed; the type of the response stays."""
    body = payloads.to_json_request(
        request.body, request.content_type, model.signature, header=request.header, most=model.max_rows
    )
    return PredictRequest(JSON, True, request.response_type, lookup.complete(body))


def _prediction_count(body: bytes, kind: str) -> int:
    if kind == JSON:
        return len(json.loads(body)["predictions"])
    return body.count(b"\n") - (kind != JSON_LINES)
