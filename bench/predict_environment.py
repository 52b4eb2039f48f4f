"""Shared by the benches of predict: a small model, a request, and a stand-in for S3 and Firehose on 127.0.0.1.

The model is small on purpose: what Penstock adds to a prediction weighs most where the prediction itself costs nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from bench.processes import running
from bench.report import ROOT
from bench.small_model import ROW

KEY = "models/tiny/model.onnx"
BODY = json.dumps({"instances": [ROW]})
EVENT: dict[str, Any] = {"requestContext": {"requestId": "JKJaXmPLvHcESHA="}, "body": BODY, "isBase64Encoded": False}
PUT_RESPONSE = b'{"FailedPutCount": 0, "RequestResponses": [{"RecordId": "r"}]}'


@contextmanager
def stand_in(data: bytes) -> Iterator[str]:
    """Start a server that answers every GET with the model's file and accepts every POST; yield its address."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = [sys.executable, "-m", "bench.predict_environment", file.name]
        with running(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout.readline().strip()


class Handler(StreamRequestHandler):
    """Answers requests until the connection ends."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        while first := self.rfile.readline():
            length = 0
            while (line := self.rfile.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)
            body = Path(sys.argv[1]).read_bytes() if first.startswith(b"GET") else PUT_RESPONSE
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


def environment(address: str, data: bytes) -> dict[str, str]:
    """Return the environment of the predict function, as a rollout publishes it."""
    settings = {"STAGE": "dev", "MODEL": "tiny", "BUCKET": "lake", "CAPTURE": "captures", "VERSION": "3"}
    settings |= {"MODEL_KEY": KEY, "MODEL_SHA256": sha256(data).hexdigest()}
    variables = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": address, "PATH": os.environ["PATH"]}
    variables |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_SESSION_TOKEN": "none"}
    return variables | {f"PENSTOCK_{name}": value for name, value in settings.items()}


if __name__ == "__main__":
    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
