"""What a worker of `serve` answers: a request's method, path, headers and body in; status, headers and body out.

Everything that an answer needs is made when the worker starts. The event loop does nothing but answer: what is captured
is left to a thread (`serve_captures`).
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
"""Of a body, as the predict function takes it."""
SWITCH_SECONDS = 0.0002
"""How long the thread that delivers captures may hold the interpreter while an answer waits; 5 ms unless set."""


class App:
    """What one worker answers with."""

    def __init__(self, model: Model, settings: ServeSettings, captures: Captures) -> None:
        self._model, self._captures = model, captures
        self._about = {"model": settings.model, "version": int(settings.version or 0)}
        self._process, self._count = os.urandom(8).hex(), count()

    def start(self) -> None:
        """Begin to deliver captures; from here on only answers are made."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # what was loaded stays: a collection need not walk it while an answer waits
        self._captures.start()

    def stop(self) -> None:
        """Deliver what waits."""
        self._captures.stop()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: str = "") -> Reply:
        """The reply to one request; headers by lower-case name, a body of more than `MOST_BYTES` cut off."""
        try:
            if path == "/invocations" and method == "POST":
                return self._invocation(headers, body, query)
            return self._elsewhere(method, path)
        except RequestError as error:
            self._captures.refused += 1
            return error.status, PROBLEM, msgspec.json.encode(error.problem())

    def _invocation(self, headers: Mapping[str, str], body: bytes, query: str) -> Reply:
        started = time.perf_counter()
        came, header = media.parse_content_type(headers.get("content-type"))
        goes = media.negotiate(headers.get("accept"), came)
        instances = self._instances(body, came, header)
        given = parse_attributes(headers.get(ATTRIBUTES))
        request = given.request or headers.get(INFERENCE_ID) or f"{self._process}{next(self._count):x}"
        prediction = self._model.prediction
        predictions = [
            {"id": f"{request}-{index}", **prediction(score)}
            for index, score in enumerate(self._model.score_instances(instances))
        ]
        seconds = time.perf_counter() - started
        reply = self._reply(self._explained(instances, predictions, parse_query(query) if query else given.query), goes)
        if given.captured:
            self._captures.put(instances, predictions, seconds)
        return reply

    def _instances(self, body: bytes, came: Media, header: bool) -> Sequence[Any]:
        if len(body) > MOST_BYTES:
            raise RequestError(413, f"the body has more than the {MOST_BYTES:,} bytes that are taken")
        model = self._model
        if came != JSON:
            body = payloads.to_json_request(body, came, model.signature, header=header, most=model.max_rows)
        return payloads.decode_with(model.instances, body, model.signature)

    def _explained(
        self, instances: Sequence[Any], predictions: list[dict[str, Any]], query: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """As the predict function answers `?explain=true`; what is captured is without."""
        return add_explanations(self._model, instances, predictions, query) if query else predictions

    def _reply(self, predictions: list[dict[str, Any]], goes: Media) -> Reply:
        return 200, goes, payloads.encode_response({**self._about, "predictions": predictions}, goes)

    def _elsewhere(self, method: str, path: str) -> Reply:
        if path == "/ping":
            return 200, JSON, msgspec.json.encode(self._about)
        if path == "/invocations":
            raise RequestError(405, f"{method} is not answered at /invocations: POST a request")
        raise RequestError(404, f"there is nothing at {path[:200]!r}: POST a request to /invocations")


def build() -> App:
    """A worker's application, its model loaded and verified.

    Raises:
        ModelFileError: another file than was registered, or not one of ours.
    """
    settings, path = ServeSettings.read(), Container.here().served
    digest, most = settings.model_sha256 or None, int(settings.max_rows)
    model = Model(path.read_bytes(), sha256=digest, max_rows=most, name=str(path))
    return App(
        model, settings, Captures.of(settings, CaptureLines(model.signature, settings.version, settings.hash_secret))
    )
