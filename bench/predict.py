"""`make bench-predict`: the complete predict handler, beside bare parse, run and serialise of the same row.

The caller's wait ends when the handler returns. Where captures are sent after the answer, the execution environment is
busy for longer: until the extension requests the next invocation.
"""

import contextlib
import importlib
import json
import os
import statistics
from collections.abc import Callable
from functools import partial
from threading import Semaphore

import msgspec
import numpy as np
import onnxruntime as ort

from bench import processes, small_model
from bench.predict_environment import BODY, EVENT, PUT_RESPONSE, environment, stand_in
from bench.report import close, interleaved, seconds, table
from bench.small_model import TEXTS
from functions.predict.post_response import PostResponse
from penstock.aws.client import Reply

ROUNDS, CALLS = 201, 20


def bare(data: bytes) -> Callable[[], object]:
    """Return the least that any server must do for the row: parse, run, serialise."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    body = BODY.encode()

    def answer() -> str:
        (row,) = msgspec.json.decode(body)["instances"]
        feeds = {
            name: np.array([[value]], dtype=object if name in TEXTS else np.float32) for name, value in row.items()
        }
        score = float(session.run(["probabilities"], feeds)[0][0, -1])
        return json.dumps({"predictions": [{"id": "JKJaXmPLvHcESHA=-0", "score": score, "label": score >= 0.5}]})

    return answer


class Canned:
    """Firehose without a network: every call succeeds at once."""

    def call(self, *_: object, **__: object) -> Reply:
        return Reply(200, PUT_RESPONSE)


class Invocations:
    """The Extensions API without a network: the extension's thread is woken for each call, and marks its end."""

    def __init__(self, answer: Callable[[], object], bare: Callable[[], object]) -> None:
        self._answer, self._bare = answer, bare
        self._starts, self._ends = Semaphore(0), Semaphore(0)
        self._first = True
        self.waits, self.cold = list[float](), list[float]()

    def next(self) -> None:
        if not self._first:
            self._ends.release()
        self._first = False
        self._starts.acquire()

    def __call__(self) -> None:
        """Run CALLS complete calls; record how long their callers wait, and how long bare inference takes in between.

        A capture leaves the processor's caches cold, so bare inference between two captures is slower too.
        """
        wait = cold = 0.0
        for _ in range(CALLS):
            cold += seconds(self._bare)
            self._starts.release()
            wait += seconds(self._answer)
            self._ends.acquire()
        self.waits.append(wait)
        self.cold.append(cold)


def many(answer: Callable[[], object]) -> None:
    for _ in range(CALLS):
        answer()


def main() -> None:
    data = small_model.build()
    with stand_in(data) as address:
        os.environ.update(environment(address, data))
        function = importlib.import_module("functions.predict.handler")
        answer = partial(function.handler, EVENT, None)
        service = function.capture._stream._firehose.service  # noqa: SLF001 - replaced below to leave out the network

        def without_network() -> None:
            function.capture._stream._firehose.service = Canned()  # noqa: SLF001
            many(answer)
            function.capture._stream._firehose.service = service  # noqa: SLF001

        invocations = Invocations(answer, bare(data))
        afterwards = PostResponse(invocations.next)

        def after() -> None:
            function.capture._post_response = afterwards  # noqa: SLF001 - as where there is an Extensions API
            invocations()
            function.capture._post_response = None  # noqa: SLF001

        subjects: dict[str, Callable[[], object]] = {
            "bare": partial(many, bare(data)),
            "handler, Firehose without a network": without_network,
            "handler, Firehose on 127.0.0.1, before the answer": partial(many, answer),
            "the same after the answer, and bare before it, until the next can come": after,
        }
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
            assert answer()["statusCode"] == 200
            afterwards.start()
            durations = interleaved(ROUNDS, **subjects)
        function.capture.close()
    floor = durations["bare"]
    durations["of that, bare"] = cold = statistics.median(invocations.cold)
    durations["of that, what the caller waits for"] = waits = statistics.median(invocations.waits)
    rows = [(name, f"{value / CALLS * 1e6:.0f}", f"{value / floor:.2f}") for name, value in durations.items()]
    table(f"one row, median of {ROUNDS} × {CALLS}", ["what", "µs", "× bare"], rows)
    _, alone, before, total, *_ = (value / floor for value in durations.values())
    figures = {"bare_us": floor / CALLS * 1e6, "ratio_no_network": alone, "ratio_before": before}
    close("predict", figures | {"ratio_waited": waits / floor, "ratio_waited_cold": waits / cold, "ratio_whole": total})


if __name__ == "__main__":
    processes.run(main)
