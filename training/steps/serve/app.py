"""The application of a `serve` worker: from method, path, headers and body of a request to a reply.

Everything is prepared when the worker starts. The event loop only answers requests; a thread delivers the captures
(`training.steps.serve.captures`).
"""

import gc
import os
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from penstock.api import media_types as media
from penstock.api import payloads
from penstock.api.explain import add_explanations
from penstock.api.media_types import JSON, PROBLEM, Media
from penstock.api.sagemaker_headers import ATTRIBUTES, INFERENCE_ID, parse_attributes, parse_query
from penstock.captures.record import CaptureLines
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.settings import ServeSettings
from training.steps.data.container import Container
from training.steps.serve.captures import Captures
from training.steps.serve.http import Reply

MOST_BYTES = 6_000_000
"""Most bytes of a body, the same as in the predict function."""
SWITCH_SECONDS = 0.0002
"""Longest time that the capture thread holds the interpreter while a request waits; Python's default is 5 ms."""


class App:
    """One worker's application."""

    def __init__(self, model: Model, settings: ServeSettings, captures: Captures) -> None:
        self._model, self._captures = model, captures
        self._about = {"model": settings.model, "version": int(settings.version or 0)}
        self._process, self._count = os.urandom(8).hex(), count()

    def start(self) -> None:
        """Start the delivery of captures; call it when everything is loaded."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # loaded objects live for ever: a collection need not traverse them
        self._captures.start()

    def stop(self) -> None:
        """Deliver the waiting captures and stop."""
        self._captures.stop()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: str = "") -> Reply:
        """Answer one request; header names are lower-case, a body of more than `MOST_BYTES` is cut off."""
        try:
            if path == "/invocations" and method == "POST":
                return self._invocation(headers, body, query)
            return self._other_path(method, path)
        except RequestError as error:
            self._captures.refused += 1
            return error.status, PROBLEM, msgspec.json.encode(error.problem())

    def _invocation(self, headers: Mapping[str, str], body: bytes, query: str) -> Reply:
        started = time.perf_counter()
        request_type, header = media.parse_content_type(headers.get("content-type"))
        response_type = media.negotiate(headers.get("accept"), request_type)
        instances = self._instances(body, request_type, header)
        attributes = parse_attributes(headers.get(ATTRIBUTES))
        request = attributes.request or headers.get(INFERENCE_ID) or f"{self._process}{next(self._count):x}"
        prediction = self._model.prediction
        predictions = [
            {"id": f"{request}-{index}", **prediction(score)}
            for index, score in enumerate(self._model.score_instances(instances))
        ]
        seconds = time.perf_counter() - started
        reply = self._reply(
            self._with_explanations(instances, predictions, parse_query(query) if query else attributes.query),
            response_type,
        )
        if attributes.captured:
            self._captures.put(instances, predictions, seconds)
        return reply

    def _instances(self, body: bytes, media_type: Media, header: bool) -> Sequence[Any]:
        if len(body) > MOST_BYTES:
            raise RequestError(413, f"the body has more than the {MOST_BYTES:,} bytes that are taken")
        model = self._model
        if media_type != JSON:
            body = payloads.to_json_request(body, media_type, model.signature, header=header, most=model.max_rows)
        return payloads.decode_with(model.instances, body, model.signature)

    def _with_explanations(
        self, instances: Sequence[Any], predictions: list[dict[str, Any]], query: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Add explanations as the predict function does for `?explain=true`; they are not captured."""
        return add_explanations(self._model, instances, predictions, query) if query else predictions

    def _reply(self, predictions: list[dict[str, Any]], media_type: Media) -> Reply:
        return 200, media_type, payloads.encode_response({**self._about, "predictions": predictions}, media_type)

    def _other_path(self, method: str, path: str) -> Reply:
        if path == "/ping":
            return 200, JSON, msgspec.json.encode(self._about)
        if path == "/invocations":
            raise RequestError(405, f"{method} is not answered at /invocations: POST a request")
        raise RequestError(404, f"there is nothing at {path[:200]!r}: POST a request to /invocations")


def build() -> App:
    """Build a worker's application with a loaded and verified model.

    Raises:
        ModelFileError: the file is not the registered one, or no Penstock model file.
    """
    settings, path = ServeSettings.read(), Container.here().served
    digest, most = settings.model_sha256 or None, int(settings.max_rows)
    model = Model(path.read_bytes(), sha256=digest, max_rows=most, name=str(path))
    return App(
        model, settings, Captures.of(settings, CaptureLines(model.signature, settings.version, settings.hash_secret))
    )
