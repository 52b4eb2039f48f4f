"""The digest of the image that a version was trained in: on the laptop, in ECR, and in the records that keep it."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.audit.why import why
from penstock.aws.ecr import find_image_digest
from penstock.aws.model_registry import Registry
from penstock.local.sagemaker.container import images
from tests.support.training_artifact import GOOD, archive_of, artifact_files, list_packages, record_trained_run
from tests.support.world import ACCOUNT, REGION, World, client

ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DIGEST = f"sha256:{'9f' * 32}"
DOCKERFILE = """FROM python:3.11-slim AS base
COPY pyproject.toml uv.lock ./
FROM base
COPY --from=base /tmp/requirements.txt .
COPY --chown=me code /opt/code
ENTRYPOINT ["python", "-m", "code"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A project with a Dockerfile that copies three of its five files, and a list of images that holds it."""
    sources = {"Dockerfile": DOCKERFILE, "pyproject.toml": "", "uv.lock": "1", "README.md": "", "code/train.py": "fit"}
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    entry = {"context": str(tmp_path), "dockerfile": str(tmp_path / "Dockerfile")}
    (tmp_path / "images.json").write_text(json.dumps({"sample": entry}))
    return tmp_path


def digest(context: Path) -> str:
    return images.digest("sample:1", context / "images.json")


@pytest.mark.parametrize("name", ["Dockerfile", "uv.lock", "code/train.py", "code/more.py"])
def test_a_changed_source_file_changes_the_image_digest(context: Path, name: str) -> None:
    before = digest(context)
    assert before.startswith("sha256:")
    assert len(before) == len(DIGEST)
    with (context / name).open("a") as file:
        file.write("\n# changed\n")
    assert digest(context) != before


@pytest.mark.parametrize("name", ["README.md", "code/__pycache__/train.cpython-311.pyc"])
def test_a_file_that_is_not_copied_leaves_the_digest(context: Path, name: str) -> None:
    before = digest(context)
    (context / name).parent.mkdir(exist_ok=True)
    (context / name).write_text("changed")
    assert digest(context) == before


def test_an_image_from_elsewhere_has_no_digest_on_the_laptop(context: Path) -> None:
    with pytest.raises(images.UnknownImageError, match="somebody/xgboost:1 is not on this laptop cloud"):
        images.digest("somebody/xgboost:1", context / "images.json")


def test_ledger_report_and_why_have_the_digest_that_the_registry_resolved(world: World) -> None:
    # Given a registry that resolves the image's tag, which moto's does not
    function = world.load("register")

    def resolve(params: dict[str, Any], **_: object) -> None:
        params["InferenceSpecification"]["Containers"][0]["ImageDigest"] = DIGEST

    hooks = function.registration.registry._client.meta.events
    hooks.register("provide-client-params.sagemaker.CreateModelPackage", resolve)
    # When a run is registered
    function.handler(record_trained_run(world, archive_of(artifact_files(GOOD))), None)
    # Then the package has it, and so have the ledger, the report and the answer to why
    version = world.ledger.version(1)
    assert Registry(world.group).describe(version["arn"]).image_digest == DIGEST
    assert version["image_digest"] == DIGEST
    report = world.ledger.run("run1")["steps"]["report"]
    assert DIGEST in world.store.read(report["key"], report["version_id"]).decode()
    world.ledger.put_dataset("d" * 64, run="run1", rows=1, parts=[], contract="c")
    assert why(world.ledger, world.lake, 1)["run"]["image_digest"] == DIGEST


def push_image(repository: str, tag: str) -> str:
    """Push an image to moto's ECR; its digest."""
    client("ecr").create_repository(repositoryName=repository)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": DIGEST}, "layers": []})
    response = client("ecr").put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest)
    return str(response["image"]["imageId"]["imageDigest"])


@pytest.mark.parametrize("challenger", [GOOD, {"roc_auc": 0.5, "log_loss": 0.5}], ids=["registered", "rejected"])
def test_the_digest_of_an_image_in_ecr_comes_from_ecr(world: World, challenger: dict[str, float]) -> None:
    # Given a run that was trained in an image in ECR
    digest = push_image("assets", "a1b2")
    event = record_trained_run(world, archive_of(artifact_files(challenger))) | {"image": f"{ECR}/assets:a1b2"}
    # When it is judged
    outcome = world.load("register").handler(event, None)["outcome"]
    # Then its report has the digest, whatever the ending, and so has a version's metadata
    report = world.ledger.run("run1")["steps"]["report"]
    assert digest in world.store.read(report["key"], report["version_id"]).decode()
    assert [item["CustomerMetadataProperties"]["image_digest"] for item in list_packages()] == (
        [digest] if outcome == "registered" else []
    )
    assert [version["image_digest"] for version in world.ledger.versions()] == [digest] * len(list_packages())


@pytest.mark.parametrize(
    ("uri", "digest"),
    [
        (f"{ECR}/assets@{DIGEST}", DIGEST),
        (f"{ECR}/assets:a1b2@{DIGEST}", DIGEST),
        (f"{ECR}/assets:gone", ""),
        (f"{ECR}/nowhere:1", ""),
        ("penstock-training:local", ""),
        ("docker.io/somebody/xgboost:1", ""),
    ],
)
def test_the_digest_behind_a_name(world: World, uri: str, digest: str) -> None:
    push_image("assets", "a1b2")
    assert find_image_digest(uri) == digest


def test_a_version_without_a_digest_has_none_in_why(world: World) -> None:
    world.load("register").handler(record_trained_run(world, archive_of(artifact_files(GOOD))), None)
    world.ledger.put_dataset("d" * 64, run="run1", rows=1, parts=[], contract="c")
    assert why(world.ledger, world.lake, 1)["run"]["image_digest"] is None
