"""LitServe with LightGBM, one worker."""

import os
import sys
from typing import Any

import lightgbm as lgb
import litserve as ls
import numpy as np


class Api(ls.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        del device
        self.booster = lgb.Booster(model_file=os.environ["BOOSTER"])

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array([list(row.values()) for row in request["instances"]])

    def predict(self, rows: Any) -> Any:
        return self.booster.predict(rows, num_threads=1)

    def encode_response(self, scores: Any) -> dict[str, list[float]]:
        return {"predictions": scores.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(Api(api_path="/invocations"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
