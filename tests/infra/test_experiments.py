"""MLflow server in the specification: register's bundle and the permissions of its role."""

import zipfile
from pathlib import Path

import pytest

from infra.bundling import EXPERIMENTS, FOLDER, bundle
from infra.stages import PROD
from tests.infra.conftest import Synthesis, copy_of_project, synthesise
from tests.infra.test_bundling import LAMBDA_LIMIT, MODEL
from tests.infra.test_permissions import allowed

SERVER = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/ours"
APP = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app-GBU5I6LYU4G7"
BYTECODE = 2
"""A bundle with bytecode is at most so many times as large as one without: a source compiles to about its own size."""


def naming(target: Path, source: Path, uri: str) -> Path:
    """The project with a tracking server in flight-delay's specification."""
    root = copy_of_project(target, source)
    if (source / FOLDER).exists():
        (root / FOLDER).symlink_to((source / FOLDER).resolve())
    path = root / "training" / "models" / MODEL / "model.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nexperiments: {{mlflow: '{uri}'}}\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module", params=[SERVER, APP], ids=["server", "app"])
def logging(request: pytest.FixtureRequest, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Prod with a server of SageMaker's, through the rules."""
    root = naming(tmp_path_factory.mktemp("logging") / "project", project, request.param)
    bundle(root, "register", MODEL, python=PROD.python, vendored=True, group=EXPERIMENTS)  # packages, by the network
    synthesis = synthesise(tmp_path_factory.mktemp("out"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def mlflow(actions: dict[str, str]) -> dict[str, str]:
    return {name: where for name, where in actions.items() if "mlflow" in name.lower()}


def test_register_may_log_to_the_named_server_only(logging: Synthesis) -> None:
    # Given the role that logs
    grants = mlflow(allowed(logging.model(), "PipelineRegisterRole"))
    # Then it may do what logging needs, there
    assert set(grants.values()) <= {SERVER, APP}
    if SERVER in grants.values():
        assert set(grants) == {
            f"sagemaker-mlflow:{name}"
            for name in (
                "CreateExperiment", "CreateRun", "GetExperimentByName", "GetRun", "LogBatch", "SearchRuns", "UpdateRun",
            )
        }  # fmt: skip
    else:
        assert grants == {"sagemaker:CallMlflowAppApi": APP}
    # And no other role may do any of it
    assert mlflow(allowed(logging.model(), "")) == grants


@pytest.mark.parametrize("uri", ["https://mlflow.example.org"])
def test_a_self_hosted_server_needs_no_permission(project: Path, tmp_path: Path, uri: str) -> None:
    root = naming(tmp_path / "project", project, uri)
    synthesis = synthesise(tmp_path / "out", {"stage": "local"}, root=root)
    assert synthesis.code == 0, synthesis.errors
    assert mlflow(allowed(synthesis.model(), "")) == {}


def test_without_a_server_there_is_no_permission(synthesis: Synthesis) -> None:
    assert mlflow(allowed(synthesis.model(), "")) == {}


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_folder_is_for_the_laptop(project: Path, tmp_path: Path, stage: str) -> None:
    root = naming(tmp_path / "project", project, "file:///tmp/runs")
    synthesis = synthesise(tmp_path / "out", {"stage": stage}, root=root)
    assert synthesis.code == 1
    assert (
        f"experiments.mlflow: a folder is for the laptop, and in stage {stage} nobody would find it" in synthesis.errors
    )


def top(path: Path) -> tuple[set[str], int]:
    """What a bundle holds at its root, and its bytes unpacked."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    return {entry.filename.split("/")[0] for entry in entries}, sum(entry.file_size for entry in entries)


def test_registers_bundle_has_mlflow_only_where_the_specification_names_a_server(project: Path) -> None:
    # Given prod's bundle with and without
    plain = bundle(project, "register", MODEL, python=PROD.python, vendored=True)
    package = bundle(project, "register", MODEL, python=PROD.python, vendored=True, group=EXPERIMENTS)
    # Then only one has MLflow, Lambda takes it, and what the runtime has is not in it
    names, size = top(package.path)
    assert {"mlflow", "sagemaker_mlflow"} <= names
    assert size * BYTECODE < LAMBDA_LIMIT
    assert not {"boto3", "botocore", "s3transfer"} & names
    assert "mlflow" not in top(plain.path)[0]
