"""`make bench-explain`: the cost of an explained row, and the distance of sampled orders from all coalitions.

LightGBM, 200 trees of 31 leaves, ten features.

The peer is shap's PermutationExplainer: the same graph in onnxruntime on one thread, the same background, as many
scorings. Ours is measured as predict runs it, from a decoded row to the answer's document. They take turns.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from lightgbm import LGBMClassifier

from bench import processes
from bench.peers import environment
from bench.report import close, table
from penstock.api.explain import Background, add_explanations
from penstock.contract.model import Column, Contract
from penstock.scoring.model import Model
from penstock.scoring.signature import Signature
from penstock.spec.operations import Explaining
from training.steps.data.rows import Rows
from training.steps.export import onnx_export as export
from training.steps.measure import background

FEATURES, ROWS, EVERY, ROUNDS = 10, 30, 20_000, 3
DEFAULT = Explaining().scorings
HERE = Path(__file__).parent
NAMES = [f"x{index}" for index in range(FEATURES)]
COLUMNS = [Column(name, "number", "feature", required=True) for name in NAMES]
Values = npt.NDArray[np.float64]


def files() -> tuple[dict[int, bytes], Values]:
    """Return the model's file for each number of scorings a row, and rows to explain; two of ten features interact."""
    random = np.random.default_rng(0)
    values = random.normal(size=(20_000, FEATURES)).astype(np.float32)
    truth = values[:, 0] + values[:, 1] * values[:, 2] + random.normal(size=len(values)) > 0
    frame = pl.DataFrame(values, schema=NAMES)
    fitted = LGBMClassifier(n_estimators=200, num_leaves=31, random_state=0, verbosity=-1).fit(frame, truth)
    signature = Signature("bench", export.fields(COLUMNS), (False, True), 0.5, export.OUTPUTS["binary"])
    train = Rows(frame, Contract("bench", "1", tuple(COLUMNS), 0.0, ""))
    models = {
        scorings: export.sealed(
            export.to_onnx(fitted, COLUMNS), signature, background.entry(train, Explaining(scorings=scorings))
        )
        for scorings in (DEFAULT, EVERY)
    }
    return models, random.normal(size=(ROWS, FEATURES)).astype(np.float32).astype(np.float64)


def ours(data: bytes, rows: Values) -> tuple[list[float], Values]:
    """Explain each row with Penstock; return its processor time in seconds, and its contributions."""
    model, seconds, contributions = Model(data), list[float](), list[list[float]]()
    for row in [rows[0], *rows]:
        body = msgspec.json.encode({"instances": [dict(zip(NAMES, row.tolist(), strict=True))]})
        instances = model.instances(body)
        predictions = [model.prediction(score) for score in model.score_instances(instances)]
        started = time.process_time()
        [answer] = add_explanations(model, instances, predictions, {"explain": "true"})
        msgspec.json.encode(answer)
        seconds.append(time.process_time() - started)
        contributions.append([answer["explanation"]["contributions"][name] for name in NAMES])
    return seconds[1:], np.array(contributions[1:])


def theirs(data: bytes, rows: Values) -> tuple[list[float], Values]:
    """Explain each row with shap against the same background; return the same two."""
    columns = msgspec.json.decode(Model(data).explains, type=Background).columns
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        graph, archive = Path(name) / "model.onnx", Path(name) / "rows.npz"
        graph.write_bytes(data)
        np.savez(archive, rows=rows, background=np.array([columns[name] for name in NAMES], dtype=np.float64).T)
        command = [environment("shap"), HERE / "shap_permutation.py", graph, archive, str(DEFAULT)]
        result: dict[str, Any] = json.loads(processes.output(command).splitlines()[-1])
    return result["seconds"], np.array(result["values"])


def main() -> None:
    models, rows = files()
    run: dict[str, Callable[[], tuple[list[float], Values]]] = {
        f"all {2**FEATURES:,} coalitions": lambda: ours(models[EVERY], rows),
        f"drawn orders, {DEFAULT:,} scorings": lambda: ours(models[DEFAULT], rows),
        "shap, as many scorings": lambda: theirs(models[DEFAULT], rows),
    }
    seconds, values = {name: list[float]() for name in run}, dict[str, Values]()
    for _ in range(ROUNDS):
        for name, subject in run.items():
            took, values[name] = subject()
            seconds[name] += took
    exact = next(iter(values.values()))
    cost = {name: statistics.median(took) * 1000 for name, took in seconds.items()}
    far = {name: 100 * float(np.abs(own - exact).mean() / np.abs(exact).mean()) for name, own in values.items()}
    lines = [(name, f"{cost[name]:.1f}", f"{far[name]:.2f} %") for name in run]
    table("one explained row", ["what", "ms of processor", "mean distance from all coalitions"], lines)
    figures = zip(("every", "drawn", "shap"), run, strict=True)
    close(
        "explain", {f"{short}_{what}": of[name] for short, name in figures for what, of in (("ms", cost), ("far", far))}
    )


if __name__ == "__main__":
    processes.run(main)
