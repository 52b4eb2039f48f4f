"""`make bench-serve`: requests per second of one model for one row, each server on one core, wrk on the other."""

import math
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.peers import environment
from bench.report import close, table
from bench.serve import model
from bench.serve.server import Load, Server

HERE = Path(__file__).parent
ROUNDS, SECONDS, WARM_SECONDS = 3, 4, 1
PORT = 4760
OURS, FLOOR = "penstock serve", "granian + msgspec + onnxruntime, bare"
AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
Command = tuple[list[str], dict[str, str], str, str]
"""Arguments, environment, path and the payload's form."""


def python(peer: str) -> str:
    return str(environment(f"serve_{peer}"))


def ours(folder: Path, port: int) -> Command:
    settings = {"STAGE": "bench", "MODEL": "bench", "VERSION": "3", "HOST": "127.0.0.1", "CAPTURE": "sink"}
    about = {f"PENSTOCK_{name}": value for name, value in settings.items()} | {"PENSTOCK_ML_ROOT": str(folder)}
    endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}", "SAGEMAKER_BIND_TO_PORT": str(port)}
    return [sys.executable, "-m", "training.steps", "serve"], about | endpoint | AWS, "/invocations", "instances"


def bare(folder: Path, port: int) -> Command:
    granian = [python("granian"), "-m", "granian", "--interface", "rsgi", "--host", "127.0.0.1", "--port", str(port)]
    command = [*granian, "--http", "1", "--no-ws", "--no-log", "bench.serve.apps.bare:app"]
    return command, {"ONNX": str(folder / "plain.onnx")}, "/invocations", "instances"


def fastapi(runtime: str) -> Callable[[Path, int], Command]:
    def command(folder: Path, port: int) -> Command:
        uvicorn = [python("fastapi"), "-m", "uvicorn", "--port", str(port), "--log-level", "error", "--no-access-log"]
        files = {"ONNX": str(folder / "plain.onnx"), "BOOSTER": str(folder / "model.bst"), "RUNTIME": runtime}
        return [*uvicorn, "bench.serve.apps.fastapi_app:app"], files, "/invocations", "instances"

    return command


def litserve(folder: Path, port: int) -> Command:
    command = [python("litserve"), "-m", "bench.serve.apps.litserve_app", str(port)]
    return command, {"BOOSTER": str(folder / "model.bst")}, "/invocations", "instances"


def bentoml(folder: Path, port: int) -> Command:
    command = [python("bentoml"), "-m", "bentoml", "serve", "bench.serve.apps.bentoml_app:Bench", "--port", str(port)]
    about = {"BOOSTER": str(folder / "model.bst"), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder)}
    return command, about, "/invocations", "instances"


def mlserver(folder: Path, port: int) -> Command:
    home = folder / "mlserver"
    home.mkdir()
    ports = f'"http_port": {port}, "grpc_port": {port + 20}, "metrics_port": {port + 40}'
    (home / "settings.json").write_text(f'{{"host": "127.0.0.1", {ports}, "parallel_workers": 0, "debug": false}}')
    about = f'"implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {{"uri": "{folder / "model.bst"}"}}'
    (home / "model-settings.json").write_text(f'{{"name": "bench", {about}}}')
    command = [str(Path(python("mlserver")).with_name("mlserver")), "start", str(home)]
    return command, {"OMP_NUM_THREADS": "1"}, "/v2/models/bench/infer", "v2"


def mlflow(flavour: str, form: str) -> Callable[[Path, int], Command]:
    def command(folder: Path, port: int) -> Command:
        own = python("mlflow")
        if not (folder / "mlflow-onnx").exists():
            script: list[str | Path] = [own, HERE / "apps" / "mlflow_model.py", folder]
            subprocess.run(script, check=True, capture_output=True, cwd=folder)
        path = f"{Path(own).parent}:/usr/bin:/bin"
        served = [
            "models",
            "serve",
            "-m",
            str(folder / f"mlflow-{flavour}"),
            "--env-manager",
            "local",
            "--workers",
            "1",
        ]
        return (
            [own, "-m", "mlflow", *served, "-p", str(port)],
            {"PATH": path, "OMP_NUM_THREADS": "1"},
            "/invocations",
            form,
        )

    return command


SUBJECTS: dict[str, Callable[[Path, int], Command]] = {
    OURS: ours,
    FLOOR: bare,
    "FastAPI + onnxruntime": fastapi("onnx"),
    "FastAPI + LightGBM": fastapi("lightgbm"),
    "MLServer": mlserver,
    "LitServe": litserve,
    "BentoML": bentoml,
    "MLflow, its ONNX flavour": mlflow("onnx", "tensor"),
    "MLflow": mlflow("lightgbm", "split"),
}


def checked(name: str, server: Server, expected: float) -> None:
    answer = server.answer()
    if not any(math.isclose(float(text), expected, abs_tol=1e-5) for text in re.findall(r"\d\.\d+", answer)):
        sys.exit(f"{name} answers {answer[:300]}, the row's probability is {expected}")


def started(folder: Path, names: list[str]) -> dict[str, Server]:
    row, expected = model.write(folder)
    for form, body in model.payloads(row).items():
        (folder / form).write_bytes(body)
    servers: dict[str, Server] = {}
    for index, name in enumerate(names):
        port = PORT + 1 + index
        command, about, path, form = SUBJECTS[name](folder, port)
        servers[name] = Server(command, about, f"http://127.0.0.1:{port}{path}", folder / form)
        checked(name, servers[name], expected)
        servers[name].load(WARM_SECONDS, HERE / "post.lua")
    return servers


def main() -> None:
    names = [name for name in SUBJECTS if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    sink = subprocess.Popen(["taskset", "-c", "1", sys.executable, "-m", "bench.serve.sink", str(PORT)])
    servers: dict[str, Server] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
            servers = started(Path(folder), names)
            found: dict[str, list[Load]] = {name: [] for name in names}
            for _ in range(ROUNDS):
                for name in names:
                    found[name].append(servers[name].load(SECONDS, HERE / "post.lua"))
            shown(found, {name: server.megabytes() for name, server in servers.items()})
    finally:
        for server in servers.values():
            server.close()
        sink.kill()
        sink.wait()


def shown(found: dict[str, list[Load]], megabytes: dict[str, float]) -> None:
    rate = {name: statistics.median(load.per_second for load in loads) for name, loads in found.items()}
    cpu = {name: statistics.median(load.cpu_us for load in loads) for name, loads in found.items()}
    p99 = {name: statistics.median(load.p99_ms for load in loads) for name, loads in found.items()}
    rows = [
        (
            name,
            f"{rate[name]:,.0f}",
            f"{rate[OURS] / rate[name]:.2f}",
            f"{cpu[name]:.1f}",
            f"{cpu[name] / cpu[OURS]:.2f}",
            f"{p99[name]:.2f}",
            f"{megabytes[name]:.0f}",
        )
        for name in found
    ]
    columns = ["what", "requests/s", "ours ×", "processor µs each", "× ours", "p99 ms", "RSS MB"]
    table(f"one row a request, 32 connections, one core, median of {ROUNDS} in turns", columns, rows)
    ratios = {f"over {name}": rate[OURS] / rate[name] for name in found if name != OURS}
    work = {f"cpu of {name}": cpu[name] / cpu[OURS] for name in found if name != OURS}
    close("serve", {"per_second": rate[OURS], "p99_ms": p99[OURS], "rss_mb": megabytes[OURS]} | ratios | work)


if __name__ == "__main__":
    main()
