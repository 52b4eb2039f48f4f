"""Runs logged to MLflow: complete, once, and no server's failure costs a run its ending."""

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from pydantic import ValidationError
from rich.console import Console

from penstock.audit import side_by_side
from penstock.audit.why import why
from penstock.aws.s3_store import sha256
from penstock.cli.commands.runs_compare import print_comparison
from penstock.cli.run_progress import render_run
from penstock.pipeline.mlflow_run import convert_metrics, convert_parameters
from penstock.spec.model import Experiments
from tests.support.training_artifact import (
    BASELINE,
    GOOD,
    archive_of,
    artifact_files,
    list_packages,
    record_trained_run,
)
from tests.support.world import REGION, STAGE, World

SERVER = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/ours"
PROJECT = Path(__file__).parents[3]
APP = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app-GBU5I6LYU4G7"
BAD = {"roc_auc": 0.8, "log_loss": 0.25}


class Register:
    """The function register, with a specification that names a tracking server."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.module: ModuleType

    def naming(self, uri: str, patience: float = 45) -> "Register":
        path = self.world.root / "model" / "model.yaml"
        path.write_text(f"{path.read_text()}\nexperiments: {{mlflow: '{uri}'}}\n")
        self.module = self.world.load("register")
        self.module.registration = replace(self.module.registration, patience=patience)  # type: ignore[attr-defined]
        return self

    def judge(self, challenger: dict[str, float], champion: dict[str, float] | None = None) -> dict[str, Any]:
        event = record_trained_run(self.world, archive_of(artifact_files(challenger, champion)))
        return dict(self.module.handler(event, None))

    @property
    def step(self) -> dict[str, Any]:
        """The ledger's record of the MLflow step."""
        return dict(self.world.ledger.run("run1")["steps"]["mlflow"])


@pytest.fixture
def register(world: World) -> Register:
    return Register(world)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a file store."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return f"file://{tmp_path / 'mlflow'}"


def runs(store: str) -> list[Run]:
    client = MlflowClient(tracking_uri=store)
    experiments = client.search_experiments(filter_string="name = 'flight-delay'")
    return list(client.search_runs([item.experiment_id for item in experiments]))


def text(store: str, run: Run, name: str) -> str:
    path = MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, name)
    return Path(path).read_text(encoding="utf-8")


def test_a_registered_run_is_logged(register: Register, store: str) -> None:
    # Given a specification that names a file store, and a champion to beat
    champion = {"roc_auc": 0.9}
    # When a run is registered
    register.naming(store).judge(GOOD, champion)
    # Then MLflow has it under the model's name, with every side's numbers
    (run,) = runs(store)
    assert run.data.metrics == {
        **GOOD, **{f"baseline.{name}": value for name, value in BASELINE.items()}, "champion.roc_auc": 0.9,
    }  # fmt: skip
    assert run.data.params == {name: json.dumps(value) for name, value in _params(register).items()}
    tags = run.data.tags
    digest = sha256(b"a model")
    onnx = register.world.lake.uri(register.world.lake.model_file(digest, "model.onnx"))
    assert (tags["penstock.run"], tags["penstock.stage"], tags["penstock.model"]) == ("run1", STAGE, "flight-delay")
    assert (tags["penstock.dataset"], tags["penstock.sha256"], tags["penstock.onnx"]) == (
        "d" * 64,
        digest,
        onnx,
    )
    assert (tags["penstock.outcome"], tags["penstock.version"], tags["penstock.passed"]) == ("registered", "1", "true")
    assert tags["penstock.gate.roc_auc min"].startswith("passed: roc_auc 0.9200")
    assert run.info.status == "FINISHED"
    # And its artifacts
    assert "flight-delay version 1 · run run1" in text(store, run, "report.html")
    assert json.loads(text(store, run, "evaluation.json"))["challenger"] == GOOD
    assert json.loads(text(store, run, "model-card.json"))["training_details"]


def _params(register: Register) -> dict[str, Any]:
    return dict(register.module.registration.spec.training.params)


def test_registry_ledger_report_and_command_name_the_mlflow_run(register: Register, store: str) -> None:
    register.naming(store).judge(GOOD)
    (run,) = runs(store)
    url = f"{store}/{run.info.experiment_id}/{run.info.run_id}"
    properties = list_packages()[0]["CustomerMetadataProperties"]
    assert (properties["mlflow_run"], properties["mlflow"]) == (f"runs:/{run.info.run_id}", store)
    world = register.world
    assert world.ledger.version(1)["mlflow"] == url
    world.ledger.put_dataset("d" * 64, run="run1", rows=1, parts=[], contract="c")
    assert why(world.ledger, world.lake, 1)["mlflow"] == url
    report = world.ledger.run("run1")["steps"]["report"]
    assert url in world.store.read(report["key"], report["version_id"]).decode()
    assert f"MLflow: {url}" in show_run(world)


def show_run(world: World) -> str:
    """The output of `penstock run`."""
    console = Console(width=300)
    with console.capture() as capture:
        console.print(render_run(world.ledger.run("run1"), []))
    return capture.get()


def test_a_repeated_run_is_one_run_of_mlflow(register: Register, store: str) -> None:
    register.naming(store)
    results = [register.judge(GOOD) for _ in range(3)]
    assert results[0] == results[1] == results[2]
    (run,) = runs(store)
    assert len(MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, "roc_auc")) == 1


def test_a_rejected_run_is_logged_too(register: Register, store: str) -> None:
    assert register.naming(store).judge(BAD)["outcome"] == "rejected"
    (run,) = runs(store)
    assert run.data.tags["penstock.outcome"] == "rejected"
    assert run.data.tags["penstock.gate.roc_auc min"].startswith("failed: ")
    assert "penstock.onnx" not in run.data.tags
    assert "roc_auc 0.8000 &lt; 0.8500" in text(store, run, "report.html")


def test_without_a_server_mlflow_is_not_noted(world: World) -> None:
    world.load("register").handler(record_trained_run(world, archive_of(artifact_files(GOOD))), None)
    assert "mlflow" not in world.ledger.run("run1")["steps"]
    assert world.ledger.version(1)["mlflow"] == ""
    assert not {"mlflow", "mlflow_run"} & set(list_packages()[0]["CustomerMetadataProperties"])


# Failing servers


@pytest.fixture
def serving() -> Iterator[Callable[[int | None], str]]:
    """Starts a server that answers every request with a status, or none until the test is over."""
    over, servers = threading.Event(), []

    def start(status: int | None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if status is None:
                    over.wait()
                else:
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(b"not you")

            do_POST = do_GET  # noqa: N815 - http.server's own name

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def check_registered(register: Register, words: str) -> None:
    """Check that a run is registered all the same, and that ledger and command have the failure."""
    result = register.judge(GOOD)
    assert result == {"outcome": "registered", "reason": "version 1: all 3 gates passed", "version": 1}
    assert len(list_packages()) == 1
    assert "mlflow" not in list_packages()[0]["CustomerMetadataProperties"]
    assert words in register.step["failure"]
    assert f"not logged to MLflow: {register.step['failure']}" in show_run(register.world)
    assert register.world.ledger.find_trained("d" * 64, register.world.ledger.version(1)["code"]) == "run1"


def test_a_server_that_is_down(register: Register) -> None:
    uri = closed_port()
    check_registered(register.naming(uri), f"{uri}: [Errno 111] Connection refused")


def test_a_server_that_refuses(register: Register, serving: Callable[[int | None], str]) -> None:
    check_registered(register.naming(serving(403)), "403")


def test_a_server_that_is_slow(register: Register, serving: Callable[[int | None], str]) -> None:
    check_registered(register.naming(serving(None), patience=0.1), "no answer within 0.1 seconds")


def test_a_server_that_fails_between_the_numbers_and_the_files(register: Register, store: str, tmp_path: Path) -> None:
    # Given a store that is gone once the version is registered
    register.naming(store)
    hooks = register.module.registration.registry._client.meta.events
    hooks.register("before-call.sagemaker.CreateModelPackage", lambda **_: shutil.rmtree(tmp_path / "mlflow"))
    # When a run is judged
    result = register.judge(GOOD)
    # Then it is registered with its MLflow run, and the ledger says both
    assert result["outcome"] == "registered"
    assert set(register.step) == {"at", "id", "url", "server", "failure"}
    assert register.world.ledger.version(1)["mlflow"] == register.step["url"]


# The specification


@pytest.mark.parametrize(
    "uri", ["https://mlflow.example.org", "http://127.0.0.1:5000/", "file:///tmp/runs", SERVER, APP]
)
def test_a_tracking_server(uri: str) -> None:
    experiments = Experiments(mlflow=uri)
    assert experiments.mlflow == uri.rstrip("/")
    assert (experiments.managed, experiments.folder) == (uri.startswith("arn:"), uri.startswith("file:"))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mlruns", "is no tracking server"),
        ("sqlite:///runs.db", "is no tracking server"),
        ("file://there/runs", "is no tracking server"),
        ("https://", "is no tracking server"),
        (f"{SERVER}:*", "is no tracking server"),
        ("arn:aws:sagemaker:eu-central-1:123456789012:model/x", "is no tracking server"),
        ("https://me:secret@mlflow.example.org", "password"),
    ],
)
def test_an_invalid_tracking_server(uri: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Experiments(mlflow=uri)


def test_names_that_mlflow_refuses_are_replaced() -> None:
    assert convert_parameters({"learning rate (η)": 0.1, "kind": "tree"}) == {
        "learning rate _η_": "0.1",
        "kind": "tree",
    }
    assert convert_metrics({"challenger": {"a": 1, "b": None, "c": True}, "champion": None}) == {"a": 1.0}


def test_register_imports_mlflow_only_where_the_specification_names_a_server(world: World) -> None:
    # Given a process with the function's environment, and a specification that names no server
    variables = world.settings_of("register").environment()
    variables |= {"LAMBDA_TASK_ROOT": str(world.root), "AWS_DEFAULT_REGION": REGION}
    program = "import sys, functions.register.handler; print(*sys.modules)"
    # When it starts
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=variables, check=True, capture_output=True, text=True
    )
    # Then MLflow is not in it
    loaded = set(process.stdout.split())
    assert "penstock.pipeline.mlflow_tracking" in loaded
    assert not {"mlflow", "penstock.pipeline.mlflow_client"} & loaded


def test_a_comparison_of_runs_names_their_mlflow_runs(
    register: Register, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    register.naming(store).judge(BAD)
    (run,) = runs(store)
    ledger = register.world.ledger
    assert side_by_side.runs(ledger, [ledger.run("run1")])["runs"][0]["mlflow"] == register.step["url"]
    print_comparison(ledger, [ledger.run("run1")], json=False)
    assert run.info.run_id in capsys.readouterr().out
