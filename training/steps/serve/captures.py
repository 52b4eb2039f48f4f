"""Captures and metrics of a serving worker, delivered in a thread so that they do not delay responses.

The event loop only appends to a queue and increments counters. A thread sends the queue to Firehose and, once a second,
writes the counters to the log in CloudWatch's embedded metric format. Only the event loop adds and only the thread
removes, so neither needs a lock. A full queue drops captures and counts them.
"""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from penstock.aws import emf
from penstock.captures.record import CaptureLines, is_sampled
from penstock.settings import ServeSettings

MOST_BYTES = 32_000_000
"""Most bytes of waiting lines: some seconds of a busy worker."""
CALL_BYTES = 64_000
"""Bytes of one call, made as soon as so many wait: encoding a larger call would block the interpreter for longer."""
PAUSE_SECONDS, METRIC_SECONDS = 0.25, 1.0
"""Longest wait of fewer bytes, and the interval of the metrics."""
GRACE_SECONDS = 10.0
"""Time to deliver the waiting lines when the worker ends."""
SAMPLE = 100
"""Most durations of one metric, the newest ones: a limit of the format."""
Deliver = Callable[[list[bytes]], int]
"""Deliver lines; return how many could not be delivered."""


class Captures:
    """The captures of one worker."""

    def __init__(
        self,
        lines: CaptureLines,
        deliver: Deliver | None,
        emit: Callable[[Mapping[str, Any]], None],
        most_bytes: int = MOST_BYTES,
        share: float = 1.0,
    ) -> None:
        """Create the queue; `start` begins the delivery.

        Args:
            lines: formats the lines of the version.
            deliver: delivers lines; None to capture nothing.
            emit: called with metrics once a second.
            most_bytes: most bytes of waiting lines.
            share: share of the predictions to capture.
        """
        self._share = share
        self._lines, self._deliver, self._emit, self._most = lines, deliver, emit, most_bytes
        self._queue: deque[bytes] = deque()
        self._added = self._removed = self._dropped = self._undelivered = self._rows = self._requests = 0
        self._milliseconds: deque[float] = deque(maxlen=SAMPLE)
        self._reported: dict[str, int] = {}
        self._second, self._at = 0.0, ""
        self._stopping, self._full_call = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="captures", daemon=True)
        self.refused = 0
        """Number of requests that were answered with 4xx."""

    @classmethod
    def of(cls, settings: ServeSettings, lines: CaptureLines) -> Self:
        """Create captures for the stream in the settings, with metrics of the stage's model."""
        namespace = emf.namespace(settings.stage, settings.model)
        share = float(settings.capture_sample)
        return cls(lines, _deliverer(settings.capture), lambda values: _print(namespace, values), share=share)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver the waiting lines and end the thread."""
        self._stopping.set()
        self._full_call.set()
        self._thread.join(GRACE_SECONDS)
        if self._thread.is_alive():  # Firehose does not answer: the lines under way and in the queue are lost
            self._dropped += len(self._queue)
            self._report()

    @property
    def waiting(self) -> int:
        """Bytes of the lines in the queue."""
        return self._added - self._removed

    def put(self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Record an answered request; never blocks, never raises."""
        self._requests += 1
        self._rows += len(rows)
        self._milliseconds.append(seconds * 1000)
        if self._deliver is None:
            return
        if self.waiting > self._most:
            self._dropped += len(rows)
            return
        at = self._now()
        for row, prediction in zip(rows, predictions, strict=True):
            if self._share < 1 and not is_sampled(prediction["id"], self._share):
                continue
            line = self._lines.line(row, prediction, at)
            self._queue.append(line)
            self._added += len(line)
        if self.waiting >= CALL_BYTES and not self._full_call.is_set():
            self._full_call.set()

    def _now(self) -> str:
        """Return the time to the millisecond; formatted once per millisecond."""
        now = time.time()
        if now - self._second >= 0.001 or now < self._second:
            self._second, self._at = now, datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        return self._at

    def _work(self) -> None:
        last_report = time.monotonic()
        while not self._stopping.is_set():
            is_full = self._full_call.wait(PAUSE_SECONDS)
            self._full_call.clear()
            self._drain(last_report + METRIC_SECONDS, least=CALL_BYTES if is_full else 1)
            if time.monotonic() - last_report >= METRIC_SECONDS:
                last_report = time.monotonic()
                self._report()
        self._drain(time.monotonic() + GRACE_SECONDS)
        self._dropped += len(self._queue)
        self._report()

    def _drain(self, until: float, least: int = 1) -> None:
        """Deliver until fewer than `least` bytes wait, or the time is over."""
        while self._deliver is not None and self.waiting >= least and time.monotonic() < until:
            lines = self._take()
            self._undelivered += len(lines)
            try:
                self._undelivered -= len(lines) - self._deliver(lines)
            except Exception as error:  # the next lines may succeed, and the metrics must continue
                print(json.dumps({"level": "ERROR", "message": f"capture dropped: {error!r}"}), file=sys.stderr)  # noqa: T201

    def _take(self) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        while self._queue and size < CALL_BYTES:
            lines.append(self._queue.popleft())
            size += len(lines[-1])
        self._removed += size
        return lines

    def _report(self) -> None:
        """Emit the counts since the last report; nothing without requests."""
        totals = {
            "Requests": self._requests,
            "Rows": self._rows,
            "Refused": self.refused,
            "CapturesDropped": self._dropped + self._undelivered,
        }
        new = {name: value - self._reported.get(name, 0) for name, value in totals.items()}
        self._reported = totals
        if any(new.values()):
            durations = [round(self._milliseconds.popleft(), 4) for _ in range(len(self._milliseconds))]
            self._emit(new | ({"Milliseconds": durations} if durations else {}))


def _deliverer(stream: str) -> Deliver | None:
    if not stream:
        return None
    from penstock.captures.delivery_queue import Delivery  # noqa: PLC0415 - its client costs a tenth of the worker's memory

    return Delivery(stream).deliver


def _print(namespace: str, values: Mapping[str, Any]) -> None:
    print(json.dumps(emf.document(namespace, values, time.time())), flush=True)  # noqa: T201 - this is the metric
