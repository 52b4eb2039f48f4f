"""The model that all subjects serve, LightGBM with 200 trees of 31 leaves on ten features, and one row for it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
from lightgbm import LGBMClassifier
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from penstock.contract.model import Column
from penstock.scoring.signature import Signature
from training.steps.export import onnx_export as export

NAMES = [f"x{index}" for index in range(10)]


def write(folder: Path) -> tuple[dict[str, float], float]:
    """Write the booster, a plain ONNX graph and our own file; return a row and its probability."""
    random = np.random.default_rng(0)
    table = pl.DataFrame({name: random.normal(size=20_000).astype(np.float32) for name in NAMES})
    values = table.to_numpy()
    truth = values[:, 0] + values[:, 1] * values[:, 2] + random.normal(size=len(values)) > 0
    fitted = LGBMClassifier(n_estimators=200, num_leaves=31, random_state=0, verbosity=-1).fit(table, truth)
    fitted.booster_.save_model(folder / "model.bst")
    options = {id(fitted): {"zipmap": False}}
    types = [("x", FloatTensorType([None, len(NAMES)]))]
    plain = convert_sklearn(fitted, initial_types=types, target_opset=export.OPSET, options=options)
    (folder / "plain.onnx").write_bytes(plain.SerializeToString())
    columns = [Column(name, "number", "feature", required=True, minimum=-100, maximum=100) for name in NAMES]
    signature = Signature("bench", export.fields(columns), (False, True), 0.5, export.OUTPUTS["binary"], ("row_id",))
    (folder / "model").mkdir()
    (folder / "model" / "model.onnx").write_bytes(export.sealed(export.to_onnx(fitted, columns), signature))
    first = values[0].tolist()
    row = {name: round(float(value), 4) for name, value in zip(NAMES, first, strict=True)}
    return row, float(np.asarray(fitted.booster_.predict([list(row.values())]))[0])


def payloads(row: dict[str, float]) -> dict[str, bytes]:
    """Return the request body of each protocol for the row."""
    data = list(row.values())
    forms = {
        "instances": {"instances": [row]},
        "v2": {"inputs": [{"name": "x", "shape": [1, len(data)], "datatype": "FP64", "data": data}]},
        "split": {"dataframe_split": {"columns": list(row), "data": [data]}},
        "tensor": {"inputs": [data]},
    }
    return {name: json.dumps(document).encode() for name, document in forms.items()}
