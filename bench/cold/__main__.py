"""`make bench-cold`: time from process start to first prediction of predict's bundle, bare onnxruntime and MLflow.

Subjects take turns, each in a new process. Bundle and bare inference import the same packages, with their bytecode;
the bundle reads its model from a stand-in for S3 on 127.0.0.1, without TLS. Both run without this environment's own
packages (`-S`), which a Lambda function's process does not have either.
"""

import json
import os
import sys
import tempfile
import zipfile
from functools import partial
from pathlib import Path

from bench import processes, small_model
from bench.peers import environment as peer_python
from bench.predict_environment import EVENT, environment, stand_in
from bench.report import ROOT, close, interleaved, table
from bench.small_model import ROW
from infra.bundling import bundle

ROUNDS = 11
HERE = Path(__file__).parent


def score_once(command: list[object], variables: dict[str, str], scores: set[float]) -> None:
    """Run a subject; add the score in its last line to the others."""
    scores.add(round(float(processes.output(command, env=variables).split()[-1]), 5))


def unpack_bundle(folder: Path) -> Path:
    """Build predict's bundle for this Python and unpack it as Lambda does, with the bytecode of our own modules too."""
    package = bundle(ROOT, "predict", "flight-delay", python=f"3.{sys.version_info.minor}", vendored=True)
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(folder)
    return folder


def main() -> None:
    data, scores = small_model.build(), set[float]()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name, stand_in(data) as address:
        here = Path(name)
        task, file, mlflow = unpack_bundle(here / "task"), here / "model.onnx", here / "mlflow"
        file.write_bytes(data)
        python = peer_python("mlflow")
        processes.output([python, HERE / "mlflow_save.py", file, mlflow])
        ours = environment(address, data) | {"PYTHONPATH": str(task), "PYTHONDONTWRITEBYTECODE": "1"}
        bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(task), "PYTHONDONTWRITEBYTECODE": "1"}
        plain = {"PATH": os.environ["PATH"], "HOME": name}
        event, row = json.dumps(EVENT), json.dumps(ROW)
        penstock = [sys.executable, "-S", HERE / "handler.py", event, "-"]
        run = {
            "bare onnxruntime": partial(score_once, [sys.executable, "-S", HERE / "bare.py", file, row], bare, scores),
            "predict's bundle": partial(score_once, penstock, ours, scores),
            "mlflow pyfunc": partial(score_once, [python, HERE / "mlflow_predict.py", mlflow, row], plain, scores),
        }
        for once in run.values():
            once()
        durations = interleaved(ROUNDS, **run)
    if len(scores) != 1:
        sys.exit(f"the subjects do not agree: {scores}")
    floor, own, other = durations.values()
    rows = [(what, f"{value * 1000:.0f}", f"{value / floor:.2f}") for what, value in durations.items()]
    table(f"process start to first prediction, median of {ROUNDS}", ["what", "ms", "× bare"], rows)
    close("cold", {"bare_ms": floor * 1000, "ratio": own / floor, "of_mlflow": own / other})


if __name__ == "__main__":
    processes.run(main)
