"""Captures and metrics of a serving worker, off the path of its answers.

The event loop appends to a queue and adds to counters, and no more; a thread takes the queue to Firehose and the
counters, once a second, to the log as CloudWatch's embedded metric format. Only the event loop adds, only the thread
takes, so neither needs a lock. A full queue drops, and what is dropped is counted.
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
"""Of lines that wait: some seconds of a busy worker."""
CALL_BYTES = 64_000
"""Taken at a time, as soon as so many wait: a larger call would hold the interpreter for longer while it is encoded."""
PAUSE_SECONDS, METRIC_SECONDS = 0.25, 1.0
"""How long fewer bytes wait, and how often is counted."""
GRACE_SECONDS = 10.0
"""For what waits when the worker ends."""
SAMPLE = 100
"""Durations of one metric: the format takes no more values; they are the newest."""
Deliver = Callable[[list[bytes]], int]
"""Takes lines; how many it could not deliver."""


class Captures:
    """One worker's."""

    def __init__(
        self,
        lines: CaptureLines,
        deliver: Deliver | None,
        emit: Callable[[Mapping[str, Any]], None],
        most_bytes: int = MOST_BYTES,
        share: float = 1.0,
    ) -> None:
        """Make them.

        Args:
            lines: of the version that answers.
            deliver: None where nothing is captured.
            emit: takes metrics, once a second.
            most_bytes: of lines that may wait.
            share: of the answers, to be captured.
        """
        self._share = share
        self._lines, self._deliver, self._emit, self._most = lines, deliver, emit, most_bytes
        self._queue: deque[bytes] = deque()
        self._added = self._taken = self._full = self._undelivered = self._rows = self._requests = 0
        self._milliseconds: deque[float] = deque(maxlen=SAMPLE)
        self._told: dict[str, int] = {}
        self._second, self._at = 0.0, ""
        self._stopping, self._much = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="captures", daemon=True)
        self.refused = 0
        """Requests that were answered with 4xx."""

    @classmethod
    def of(cls, settings: ServeSettings, lines: CaptureLines) -> Self:
        """To the stream that the settings name, and as metrics of the stage's model."""
        namespace = emf.namespace(settings.stage, settings.model)
        share = float(settings.capture_sample)
        return cls(lines, _deliverer(settings.capture), lambda values: _print(namespace, values), share=share)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver what waits, and end."""
        self._stopping.set()
        self._much.set()
        self._thread.join(GRACE_SECONDS)
        if self._thread.is_alive():  # for an answer that does not come; what it waits with and what waits is lost
            self._full += len(self._queue)
            self._tell()

    @property
    def waiting(self) -> int:
        """Bytes of lines that are not under way yet."""
        return self._added - self._taken

    def put(self, rows: Sequence[Any], predictions: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """An answered request; never waits, never raises."""
        self._requests += 1
        self._rows += len(rows)
        self._milliseconds.append(seconds * 1000)
        if self._deliver is None:
            return
        if self.waiting > self._most:
            self._full += len(rows)
            return
        at = self._now()
        for row, prediction in zip(rows, predictions, strict=True):
            if self._share < 1 and not is_sampled(prediction["id"], self._share):
                continue
            line = self._lines.line(row, prediction, at)
            self._queue.append(line)
            self._added += len(line)
        if self.waiting >= CALL_BYTES and not self._much.is_set():
            self._much.set()

    def _now(self) -> str:
        """To the millisecond; made once in each."""
        now = time.time()
        if now - self._second >= 0.001 or now < self._second:
            self._second, self._at = now, datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        return self._at

    def _work(self) -> None:
        told = time.monotonic()
        while not self._stopping.is_set():
            much = self._much.wait(PAUSE_SECONDS)
            self._much.clear()
            self._drain(told + METRIC_SECONDS, least=CALL_BYTES if much else 1)
            if time.monotonic() - told >= METRIC_SECONDS:
                told = time.monotonic()
                self._tell()
        self._drain(time.monotonic() + GRACE_SECONDS)
        self._full += len(self._queue)
        self._tell()

    def _drain(self, until: float, least: int = 1) -> None:
        """Deliver until fewer bytes than `least` wait, or the time is over."""
        while self._deliver is not None and self.waiting >= least and time.monotonic() < until:
            lines = self._take()
            self._undelivered += len(lines)
            try:
                self._undelivered -= len(lines) - self._deliver(lines)
            except Exception as error:  # whatever it is, the next lines may fare better, and the metrics must go on
                print(json.dumps({"level": "ERROR", "message": f"capture dropped: {error!r}"}), file=sys.stderr)  # noqa: T201

    def _take(self) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while self._queue and size < CALL_BYTES:
            taken.append(self._queue.popleft())
            size += len(taken[-1])
        self._taken += size
        return taken

    def _tell(self) -> None:
        """What was counted since it was told last; a second without requests tells nothing."""
        counted = {
            "Requests": self._requests,
            "Rows": self._rows,
            "Refused": self.refused,
            "CapturesDropped": self._full + self._undelivered,
        }
        new = {name: value - self._told.get(name, 0) for name, value in counted.items()}
        self._told = counted
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
