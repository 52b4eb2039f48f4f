"""`make bench-cold`: process start to first prediction, of predict's bundle, bare onnxruntime and MLflow's pyfunc.

Subjects take turns in processes of their own. Bundle and bare inference import the same packages, with their bytecode;
the bundle reads its model from a stand-in of S3 on 127.0.0.1, without TLS. Both run without this environment's own
packages (`-S`), of which a function's process has none either.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import partial
from pathlib import Path

from bench.peers import environment as peer
from bench.report import ROOT, close, interleaved, table
from bench.served import EVENT, environment, model, stand_in
from bench.tiny import ROW
from infra.bundling import bundle

ROUNDS = 11
HERE = Path(__file__).parent


def process(command: list[str | Path], variables: dict[str, str], scores: set[float]) -> None:
    """Run a subject, whose last line is its score."""
    done = subprocess.run(list(map(str, command)), env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
    scores.add(round(float(done.stdout.split()[-1]), 5))


def unpacked(folder: Path) -> Path:
    """Predict's bundle for this Python, as Lambda unpacks it, with the bytecode of our own modules too."""
    made = bundle(ROOT, "predict", "flight-delay", python=f"3.{sys.version_info.minor}", vendored=True)
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
    return folder


def main() -> None:
    data, scores = model(), set[float]()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name, stand_in(data) as address:
        here = Path(name)
        task, file, saved = unpacked(here / "task"), here / "model.onnx", here / "mlflow"
        file.write_bytes(data)
        theirs = peer("mlflow")
        subprocess.run([theirs, HERE / "mlflow_save.py", file, saved], check=True, capture_output=True)
        ours = environment(address, data) | {"PYTHONPATH": str(task), "PYTHONDONTWRITEBYTECODE": "1"}
        bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(task), "PYTHONDONTWRITEBYTECODE": "1"}
        plain = {"PATH": os.environ["PATH"], "HOME": name}
        event, row = json.dumps(EVENT), json.dumps(ROW)
        run = {
            "bare onnxruntime": partial(process, [sys.executable, "-S", HERE / "bare.py", file, row], bare, scores),
            "predict's bundle": partial(process, [sys.executable, "-S", HERE / "handler.py", event, "-"], ours, scores),
            "mlflow pyfunc": partial(process, [theirs, HERE / "mlflow_predict.py", saved, row], plain, scores),
        }
        for once in run.values():
            once()
        found = interleaved(ROUNDS, **run)
    if len(scores) != 1:
        sys.exit(f"the subjects do not agree: {scores}")
    floor, own, other = found.values()
    rows = [(what, f"{value * 1000:.0f}", f"{value / floor:.2f}") for what, value in found.items()]
    table(f"process start to first prediction, median of {ROUNDS}", ["what", "ms", "× bare"], rows)
    close("cold", {"bare_ms": floor * 1000, "ratio": own / floor, "of_mlflow": own / other})


if __name__ == "__main__":
    main()
