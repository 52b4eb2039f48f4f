"""shap's PermutationExplainer on an ONNX graph, in an environment of its own.

Arguments: the graph, an archive of `rows` and `background`, scorings a row. Prints seconds of processor, and values.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import onnxruntime as ort
import shap


def main(graph: str, data: str, scorings: int) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def score(rows: Any) -> Any:
        return session.run(["probabilities"], {name: np.asarray(rows, dtype=np.float32)})[0][:, 1]

    given = np.load(data)
    masker = shap.maskers.Independent(given["background"], max_samples=len(given["background"]))
    explainer = shap.PermutationExplainer(score, masker, seed=0)
    asked = scorings // len(given["background"])
    explainer(given["rows"][:1], max_evals=asked, silent=True)  # what it compiles on first use is not timed
    seconds, values = [], []
    for row in given["rows"]:
        started = time.process_time()
        found = explainer(row[None], max_evals=asked, silent=True)
        seconds.append(time.process_time() - started)
        values.append(found.values[0].tolist())
    print(json.dumps({"seconds": seconds, "values": values}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
