"""The predict function imports exactly the listed modules before its first response."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.aws.s3_store import sha256
from tests.support.front import Answer, serving
from tests.support.world import BUCKET, MODEL, REGION, STAGE, STREAM

PROJECT = Path(__file__).parents[3]
ALLOWED = PROJECT / "functions" / "predict" / "imports.txt"
PROGRAM = """
import sys, json
import functions.predict.handler as predict
event = {"requestContext": {"requestId": "r"}, "body": json.dumps({"instances": [%r]})}
answer = predict.handler(event, None)["statusCode"] if %r else 200
assert answer == 200, answer
predict.capture.close()
def named(name):
    parts = name.split(".")
    return name if parts[0] in {"penstock", "functions"} else parts[0]
own = {named(m) for m, module in sys.modules.items() if getattr(module, "__spec__", None) and m != "__main__"}
print("\\n".join(sorted(own - set(sys.stdlib_module_names))), file=sys.stderr)
heavy = {"asyncio", "concurrent", "multiprocessing", "unittest", "xml"}
print("\\n".join(sorted(set(sys.modules) & heavy)), file=sys.stderr)
"""


@contextmanager
def lake_server(tiny_onnx: bytes) -> Iterator[str]:
    def respond(method: str, _target: str, _body: bytes) -> Answer:
        return 200, tiny_onnx if method == "GET" else b'{"RequestResponses": [{}]}'

    with serving(respond) as address:
        yield address


def imported_modules(address: str, **about: str) -> set[str]:
    """Start a process as predict does, answer a request where it has a model, and return its modules."""
    from tests.support.tiny import GOOD

    variables = {"STAGE": STAGE, "MODEL": MODEL, "BUCKET": BUCKET, "CAPTURE": STREAM, **about}
    environment = {f"PENSTOCK_{name.upper()}": value for name, value in variables.items()}
    environment |= {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": address, "PATH": os.environ["PATH"]}
    environment |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    program = PROGRAM % (GOOD, bool(about))
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=environment, check=False, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return set(process.stderr.split())


@pytest.mark.parametrize("published", [True, False])
def test_predict_imports_exactly_the_listed_modules(tiny_onnx: bytes, published: bool) -> None:
    # Given a process as Lambda starts it
    about = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(tiny_onnx)}
    with lake_server(tiny_onnx) as address:
        # When it has started, and a published version has answered and captured
        modules = imported_modules(address, **(about if published else {}))
    # Then beyond Python's own it holds what functions/predict/imports.txt lists
    listed = set(ALLOWED.read_text(encoding="utf-8").split())
    modules -= {"typing_extensions"}  # msgspec takes it where it is; predict's bundle has none
    assert modules - listed == set(), "a new import in predict's cold start: do without it, or list and measure it"
    if published:
        assert listed - modules == set(), "no longer imported: take it off the list"


def test_a_version_with_an_endpoint_imports_no_scoring_modules(tiny_onnx: bytes) -> None:
    # Given a published version whose endpoint scores
    about = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(tiny_onnx)}
    with lake_server(tiny_onnx) as address:
        # When it has started and passed on a request
        modules = imported_modules(address, **about, endpoint="e", endpoint_seconds="5")
    # Then it holds less than one that scores, and what passes requests on
    listed = set(ALLOWED.read_text(encoding="utf-8").split())
    passing = {
        "functions.predict.endpoint_client",
        "functions.predict.endpoint_proxy",
        "penstock.api.sagemaker_headers",
    }
    assert modules - listed - {"typing_extensions"} == passing
    assert modules & {"onnxruntime", "penstock.scoring.model"} == set()
