"""FastAPI: pydantic checks the row, the runtime named by `RUNTIME` scores it; run by uvicorn, uvloop and httptools."""

import os
from collections.abc import Callable

from fastapi import FastAPI
from pydantic import BaseModel, create_model

FIELDS = [f"x{index}" for index in range(10)]
Row = create_model("Row", **dict.fromkeys(FIELDS, (float, ...)))  # type: ignore[call-overload]


class Request(BaseModel):
    instances: list[Row]  # type: ignore[valid-type]


def onnx() -> Callable[[list[list[float]]], list[float]]:
    import numpy as np  # noqa: PLC0415 - only this runtime needs it
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(os.environ["ONNX"], options)

    def score_rows(rows: list[list[float]]) -> list[float]:
        probabilities = session.run(["probabilities"], {"x": np.array(rows, dtype=np.float32)})[0]
        return [float(value) for value in probabilities[:, 1]]

    return score_rows


def lightgbm() -> Callable[[list[list[float]]], list[float]]:
    import lightgbm as lgb  # noqa: PLC0415

    booster = lgb.Booster(model_file=os.environ["BOOSTER"])
    return lambda rows: [float(value) for value in booster.predict(rows, num_threads=1)]


score = {"onnx": onnx, "lightgbm": lightgbm}[os.environ["RUNTIME"]]()
app = FastAPI()


@app.post("/invocations")
async def predict(request: Request) -> dict[str, list[float]]:
    return {"predictions": score([[getattr(row, name) for name in FIELDS] for row in request.instances])}
