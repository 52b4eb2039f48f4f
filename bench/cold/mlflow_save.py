"""Save the model in MLflow's format: `python mlflow_save.py MODEL FOLDER`."""

import sys

import mlflow.onnx
import onnx

mlflow.onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2], pip_requirements=[])
