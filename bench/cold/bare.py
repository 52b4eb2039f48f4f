"""Predict once with bare onnxruntime: `python bare.py MODEL ROW`."""

import json
import sys

import numpy as np
import onnxruntime as ort

row = json.loads(sys.argv[2])
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feeds = {name: np.array([[v]], dtype=object if isinstance(v, str) else np.float32) for name, v in row.items()}
print(float(session.run(["probabilities"], feeds)[0][0, -1]))
