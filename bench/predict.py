"""`make bench-predict`: the predict handler whole, beside bare parse, run and serialise of the same row."""

import contextlib
import importlib
import json
import os
from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
import onnxruntime as ort

from bench.report import close, interleaved, table
from bench.served import BODY, EVENT, TAKEN, environment, model, stand_in
from bench.tiny import TEXTS
from penstock.aws_call import Reply

ROUNDS, CALLS = 201, 20


def bare(data: bytes) -> Callable[[], object]:
    """What nobody can leave out."""
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
    """Firehose without a network."""

    def call(self, *_: object, **__: object) -> Reply:
        return Reply(200, TAKEN)


def many(answer: Callable[[], object]) -> None:
    for _ in range(CALLS):
        answer()


def main() -> None:
    data = model()
    with stand_in(data) as address:
        os.environ.update(environment(address, data))
        function = importlib.import_module("functions.predict.handler")
        answer = partial(function.handler, EVENT, None)
        kept = function.capture._stream._firehose.service  # noqa: SLF001 - the network is what is taken away

        def without_network() -> None:
            function.capture._stream._firehose.service = Canned()  # noqa: SLF001
            many(answer)
            function.capture._stream._firehose.service = kept  # noqa: SLF001

        subjects: dict[str, Callable[[], object]] = {
            "bare": partial(many, bare(data)),
            "handler, Firehose without a network": without_network,
            "handler, Firehose on 127.0.0.1": partial(many, answer),
        }
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
            assert answer()["statusCode"] == 200
            found = interleaved(ROUNDS, **subjects)
        function.capture.close()
    floor = found["bare"]
    rows = [(name, f"{value / CALLS * 1e6:.0f}", f"{value / floor:.2f}") for name, value in found.items()]
    table(f"one row, median of {ROUNDS} × {CALLS}", ["what", "µs", "× bare"], rows)
    _, alone, whole = found.values()
    close("predict", {"bare_us": floor / CALLS * 1e6, "ratio_no_network": alone / floor, "ratio": whole / floor})


if __name__ == "__main__":
    main()
