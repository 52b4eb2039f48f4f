"""Save the booster and the ONNX graph as MLflow models, in MLflow's own environment."""

import sys
from pathlib import Path

import lightgbm as lgb
import mlflow
import onnx

folder = Path(sys.argv[1])
mlflow.lightgbm.save_model(lgb.Booster(model_file=str(folder / "model.bst")), folder / "mlflow-lightgbm")
mlflow.onnx.save_model(onnx.load(folder / "plain.onnx"), folder / "mlflow-onnx")
