"""Runs on the laptop cloud that are logged to MLflow's file store; and the digest of the image that they ran in."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from demo import flights
from penstock.local.host.home import CloudHome
from penstock.local.sagemaker.container import images
from tests.local.conftest import client_for, free_port
from tests.local.stage.project import Project, copy_project

KEPT = ("flight-delay", "rejects")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A model that registers and one that rejects, both logged to a folder beside them, on a cloud of its own."""
    project = copy_project(tmp_path_factory.mktemp("project"), free_port())
    for folder in (project.root / "training" / "models").iterdir():
        if folder.name not in KEPT:
            shutil.rmtree(folder)
            continue
        path = folder / "model.yaml"
        path.write_text(f"{path.read_text()}\nexperiments: {{mlflow: '{store(project)}', name: flights}}\n")
    project.run("up")
    yield project
    project.run("down")


@pytest.fixture(scope="module")
def january(project: Project) -> Path:
    """A few flights."""
    file = project.root / "january.csv"
    flights.flights([1]).head(3_000).write_csv(file)
    return file


def store(project: Project) -> str:
    return f"file://{project.root / 'mlflow'}"


@pytest.fixture
def mlflow(project: Project, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return MlflowClient(tracking_uri=store(project))


def logged(mlflow: MlflowClient, model: str) -> Run:
    """Return the one run of a model."""
    experiment = mlflow.get_experiment_by_name("flights")
    assert experiment is not None
    (run,) = mlflow.search_runs([experiment.experiment_id], f"tags.`penstock.model` = '{model}'")
    return run


def test_a_registered_run_is_in_the_store_with_its_numbers(
    project: Project, january: Path, mlflow: MlflowClient
) -> None:
    # Given a run that registers
    project.run("push", str(january), "--model", "flight-delay", "--wait")
    (ours,) = project.json("runs", "--model", "flight-delay")
    assert ours["outcome"] == "registered"
    # When MLflow is asked
    run = logged(mlflow, "flight-delay")
    # Then its numbers are the evaluation's
    evaluation: dict[str, Any] = ours["steps"]["gates"]["evaluation"]
    sides = [("", evaluation["challenger"]), ("baseline.", evaluation["baseline"])]
    assert run.data.metrics == {f"{side}{name}": value for side, metrics in sides for name, value in metrics.items()}
    assert run.data.tags["penstock.run"] == ours["id"]
    assert run.data.params["trees"] == "20"
    files = {item.path for item in mlflow.list_artifacts(run.info.run_id)}
    assert files == {"evaluation.json", "model-card.json", "report.html"}
    # And the registry and the command lead there
    package = described(project)
    assert package["CustomerMetadataProperties"]["mlflow_run"] == f"runs:/{run.info.run_id}"
    url = f"{store(project)}/{run.info.experiment_id}/{run.info.run_id}"
    assert project.json("models", "show", "flight-delay")["versions"][0]["mlflow"] == url
    for words in (("run", ours["id"], "--model", "flight-delay"), ("models", "show", "flight-delay")):
        assert url in "".join(project.run(*words).stdout.split())


def test_a_rejected_run_is_in_the_store_too(project: Project, january: Path, mlflow: MlflowClient) -> None:
    project.run("push", str(january), "--model", "rejects", "--wait", check=False)
    assert logged(mlflow, "rejects").data.tags["penstock.outcome"] == "rejected"


def described(project: Project) -> dict[str, Any]:
    sagemaker = client_for(project.cloud())("sagemaker")
    name = sagemaker.list_model_packages(ModelPackageGroupName="penstock-local-flight-delay")
    (item,) = name["ModelPackageSummaryList"]
    return dict(sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"]))


def test_the_version_has_the_digest_of_its_image(project: Project, mlflow: MlflowClient) -> None:
    # Given what the image is here
    digest = images.digest("penstock-training:local", CloudHome(project.root / ".penstock").images)
    # Then registry, ledger, `why` and MLflow all have it
    assert described(project)["InferenceSpecification"]["Containers"][0]["ImageDigest"] == digest
    assert project.json("models", "show", "flight-delay")["versions"][0]["image_digest"] == digest
    completed = project.run("why", "flight-delay", "--version", "1")
    assert digest in "".join(completed.stdout.split())
    assert logged(mlflow, "flight-delay").data.tags["penstock.image_digest"] == digest
