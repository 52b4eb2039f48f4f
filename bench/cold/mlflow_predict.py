"""Load the model as an MLflow pyfunc and predict once: `python mlflow_predict.py FOLDER ROW`."""

import json
import sys

import mlflow.pyfunc
import numpy as np

row = json.loads(sys.argv[2])
loaded = mlflow.pyfunc.load_model(sys.argv[1])
feeds = {name: np.array([[v]], dtype=object if isinstance(v, str) else np.float32) for name, v in row.items()}
print(float(np.asarray(loaded.predict(feeds)["probabilities"])[0, -1]))
