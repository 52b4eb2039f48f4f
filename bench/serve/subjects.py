"""The servers under test, and how each is started for the same model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.peers import environment
from bench.serve.server import Command

SINK_PORT = 4760
OURS, FLOOR = "penstock serve", "granian + msgspec + onnxruntime, bare"
AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
APPS = Path(__file__).parent / "apps"


def python(peer: str) -> str:
    return str(environment(f"serve_{peer}"))


def penstock(folder: Path, port: int) -> Command:
    settings = {"STAGE": "bench", "MODEL": "bench", "VERSION": "3", "HOST": "127.0.0.1", "CAPTURE": "sink"}
    variables = {f"PENSTOCK_{name}": value for name, value in settings.items()} | {"PENSTOCK_ML_ROOT": str(folder)}
    endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{SINK_PORT}", "SAGEMAKER_BIND_TO_PORT": str(port)}
    return Command([sys.executable, "-m", "training.steps", "serve"], variables | endpoint | AWS)


def bare_granian(folder: Path, port: int) -> Command:
    granian = [python("granian"), "-m", "granian", "--interface", "rsgi", "--host", "127.0.0.1", "--port", str(port)]
    arguments = [*granian, "--http", "1", "--no-ws", "--no-log", "bench.serve.apps.bare:app"]
    return Command(arguments, {"ONNX": str(folder / "plain.onnx")})


def fastapi(runtime: str) -> Callable[[Path, int], Command]:
    def command(folder: Path, port: int) -> Command:
        uvicorn = [python("fastapi"), "-m", "uvicorn", "--port", str(port), "--log-level", "error", "--no-access-log"]
        files = {"ONNX": str(folder / "plain.onnx"), "BOOSTER": str(folder / "model.bst"), "RUNTIME": runtime}
        return Command([*uvicorn, "bench.serve.apps.fastapi_app:app"], files)

    return command


def litserve(folder: Path, port: int) -> Command:
    arguments = [python("litserve"), "-m", "bench.serve.apps.litserve_app", str(port)]
    return Command(arguments, {"BOOSTER": str(folder / "model.bst")})


def bentoml(folder: Path, port: int) -> Command:
    arguments = [python("bentoml"), "-m", "bentoml", "serve", "bench.serve.apps.bentoml_app:Bench", "--port", str(port)]
    variables = {"BOOSTER": str(folder / "model.bst"), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder)}
    return Command(arguments, variables)


def mlserver(folder: Path, port: int) -> Command:
    home = folder / "mlserver"
    home.mkdir()
    grpc, metrics = port + 20, port + 40
    ports = f'"http_port": {port}, "grpc_port": {grpc}, "metrics_port": {metrics}'
    (home / "settings.json").write_text(f'{{"host": "127.0.0.1", {ports}, "parallel_workers": 0, "debug": false}}')
    model = f'"implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {{"uri": "{folder / "model.bst"}"}}'
    (home / "model-settings.json").write_text(f'{{"name": "bench", {model}}}')
    arguments = [str(Path(python("mlserver")).with_name("mlserver")), "start", str(home)]
    return Command(arguments, {"OMP_NUM_THREADS": "1"}, "/v2/models/bench/infer", "v2", (grpc, metrics))


def mlflow(flavour: str, payload: str) -> Callable[[Path, int], Command]:
    def command(folder: Path, port: int) -> Command:
        own = python("mlflow")
        if not (folder / "mlflow-onnx").exists():
            script: list[str | Path] = [own, APPS / "mlflow_model.py", folder]
            subprocess.run(script, check=True, capture_output=True, cwd=folder)
        model = str(folder / f"mlflow-{flavour}")
        serve = ["models", "serve", "-m", model, "--env-manager", "local", "--workers", "1", "-p", str(port)]
        variables = {"PATH": f"{Path(own).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        return Command([own, "-m", "mlflow", *serve], variables, payload=payload)

    return command


SUBJECTS: dict[str, Callable[[Path, int], Command]] = {
    OURS: penstock,
    FLOOR: bare_granian,
    "FastAPI + onnxruntime": fastapi("onnx"),
    "FastAPI + LightGBM": fastapi("lightgbm"),
    "MLServer": mlserver,
    "LitServe": litserve,
    "BentoML": bentoml,
    "MLflow, its ONNX flavour": mlflow("onnx", "tensor"),
    "MLflow": mlflow("lightgbm", "split"),
}
