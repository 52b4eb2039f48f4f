"""The floor: granian, msgspec and onnxruntime; only types are checked, nothing is counted or captured."""

import os
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["ONNX"], options)
Row = msgspec.defstruct("Row", [(f"x{index}", float) for index in range(10)])
Request: Any = msgspec.defstruct("Request", [("instances", list[Row])])  # type: ignore[valid-type]
decode, encode = msgspec.json.Decoder(Request).decode, msgspec.json.Encoder().encode
HEADERS = [("content-type", "application/json")]


async def app(_scope: Any, protocol: Any) -> None:
    rows = [msgspec.structs.astuple(row) for row in decode(await protocol()).instances]
    probabilities = session.run(["probabilities"], {"x": np.array(rows, dtype=np.float32)})[0]
    protocol.response_bytes(200, HEADERS, encode({"predictions": probabilities[:, 1].tolist()}))
