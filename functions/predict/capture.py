"""Send answered rows to Firehose without ever failing a response: rows that cannot be sent are counted and dropped.

Sent after the response where the Lambda environment allows it (`post_response`), otherwise before.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from functions.predict.capture_stream import Stream
from functions.predict.post_response import PostResponse
from penstock.aws import emf
from penstock.captures.record import CaptureLines, is_sampled
from penstock.predict_settings import AFTER, PredictSettings
from penstock.scoring.signature import Signature

METRICS = ("Rows", "CapturesDropped", "Milliseconds")


class Capture:
    """The delivery stream of a model's captures."""

    def __init__(self, settings: PredictSettings, signature: Signature | None) -> None:
        self._settings = settings
        self._lines = CaptureLines(signature, settings.version, settings.hash_secret)
        self._namespace = emf.namespace(settings.stage, settings.model)
        self._share = float(settings.capture_sample)
        self._stream = Stream(settings.capture)
        self._post_response = PostResponse.register() if signature and settings.captured == AFTER else None

    def send(self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], at: datetime, seconds: float) -> None:
        """Capture a request's rows, or the model's share of them, and emit the request's metrics.

        Args:
            rows: in the form of `CaptureLines.line`.
            predictions: of the response, with their ids.
            at: time of the response.
            seconds: spent on the predictions.
        """
        work = partial(self._send_now, rows, predictions, at, seconds)
        if self._post_response is None:
            work()
        else:
            self._post_response.add(work)

    def release(self) -> None:
        """Signal that the invocation has ended, so that waiting work may run."""
        if self._post_response is not None:
            self._post_response.release()

    def _send_now(
        self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], at: datetime, seconds: float
    ) -> None:
        try:
            dropped = self._stream.deliver(self._encode(rows, predictions, at.isoformat(timespec="milliseconds")))
        except Exception as error:  # no fault of a capture may fail a response
            print(f"capture dropped: {error!r}", file=sys.stderr)  # noqa: T201
            dropped = len(rows)
        self._emit(at, dict(zip(METRICS, (len(rows), dropped, seconds * 1000), strict=True)))

    def _encode(self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], at: str) -> list[bytes]:
        return [
            self._lines.line(row, prediction, at)
            for row, prediction in zip(rows, predictions, strict=True)
            if self._share >= 1 or is_sampled(prediction["id"], self._share)
        ]

    def close(self) -> None:
        """Close the connection; the next capture opens another and is sent before its response."""
        self._stream.close()
        if self._post_response is not None:
            self._post_response.stop()
            self._post_response = None

    def _emit(self, at: datetime, values: Mapping[str, float]) -> None:
        document = emf.document(self._namespace, values, at.timestamp())
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
