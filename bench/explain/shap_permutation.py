"""Explain rows of an ONNX graph with shap's PermutationExplainer, in an environment of its own.

Arguments: the graph, an archive of `rows` and `background`, scorings a row. Prints processor seconds and values.
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

    arrays = np.load(data)
    masker = shap.maskers.Independent(arrays["background"], max_samples=len(arrays["background"]))
    explainer = shap.PermutationExplainer(score, masker, seed=0)
    evaluations = scorings // len(arrays["background"])
    explainer(arrays["rows"][:1], max_evals=evaluations, silent=True)  # compiles on first use, which is not timed
    seconds, values = [], []
    for row in arrays["rows"]:
        started = time.process_time()
        explanation = explainer(row[None], max_evals=evaluations, silent=True)
        seconds.append(time.process_time() - started)
        values.append(explanation.values[0].tolist())
    print(json.dumps({"seconds": seconds, "values": values}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
