"""Answered rows to Firehose, without ever failing an answer: what cannot be sent is counted and let go.

Where Lambda lets it, after the answer (`afterwards`); elsewhere before.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from functions.predict.capture_stream import Stream
from functions.predict.post_response import Afterwards
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
        self._afterwards = Afterwards.registered() if signature and settings.captured == AFTER else None

    def send(self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], at: datetime, seconds: float) -> None:
        """Capture a request's rows, or the share that the model asks for, and emit the request's metrics.

        Args:
            rows: as `CaptureLines.line` takes them.
            predictions: as they are answered, with their ids.
            at: when.
            seconds: that the answer took.
        """
        work = partial(self._sent, rows, predictions, at, seconds)
        if self._afterwards is None:
            work()
        else:
            self._afterwards.add(work)

    def release(self) -> None:
        """The invocation is at its end, however it ended: what is left to do may be done."""
        if self._afterwards is not None:
            self._afterwards.release()

    def _sent(
        self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], at: datetime, seconds: float
    ) -> None:
        try:
            dropped = self._stream.deliver(self._of(rows, predictions, at.isoformat(timespec="milliseconds")))
        except Exception as error:  # a capture fails no answer, whatever it is
            print(f"capture dropped: {error!r}", file=sys.stderr)  # noqa: T201
            dropped = len(rows)
        self._emit(at, dict(zip(METRICS, (len(rows), dropped, seconds * 1000), strict=True)))

    def _of(self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], at: str) -> list[bytes]:
        return [
            self._lines.line(row, prediction, at)
            for row, prediction in zip(rows, predictions, strict=True)
            if self._share >= 1 or is_sampled(prediction["id"], self._share)
        ]

    def close(self) -> None:
        """Let the connection go; the next answer opens another, and its capture goes out before it."""
        self._stream.close()
        if self._afterwards is not None:
            self._afterwards.stop()
            self._afterwards = None

    def _emit(self, at: datetime, values: Mapping[str, float]) -> None:
        document = emf.document(self._namespace, values, at.timestamp())
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
