"""Registration of a training job's artifact: version, records, report and model card."""

import io
import json
import tarfile
from types import ModuleType
from typing import Any

import pytest

from penstock.archive import ArchiveError
from penstock.aws.s3_store import NoObjectError, sha256
from tests.support.training_artifact import GOOD, archive_of, artifact_files, list_packages, record_trained_run
from tests.support.world import BUCKET, CODE, World, client


@pytest.fixture
def function(world: World) -> ModuleType:
    return world.load("register")


def test_a_model_that_passes_waits_for_approval(world: World, function: ModuleType) -> None:
    # Given an artifact whose numbers pass every gate
    event = record_trained_run(world, archive_of(artifact_files(GOOD)))
    # When it is judged
    result = function.handler(event, None)
    # Then it is version 1 in the registry, with its origin
    assert result == {"outcome": "registered", "reason": "version 1: all 3 gates passed", "version": 1}
    package = list_packages()[0]
    digest = sha256(b"a model")
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    model = world.lake.model_file(digest, "model.onnx")
    head = client("s3").head_object(Bucket=BUCKET, Key=model)
    assert package["CustomerMetadataProperties"] == {
        "run": "run1", "dataset": "d" * 64, "sha256": digest, "code": CODE, "image": "an/image:1",
        "model": world.lake.uri(model), "model_version_id": head["VersionId"],
    }  # fmt: skip
    uri = world.lake.uri(world.lake.model_file(digest, "baseline.json"))
    assert package["DriftCheckBaselines"]["ModelDataQuality"]["Statistics"]["S3Uri"] == uri
    container = package["InferenceSpecification"]["Containers"][0]
    assert (container["ModelDataUrl"], container["Image"]) == (event["artifact"], "an/image:1")
    # And in the ledger
    version = world.ledger.version(1)
    assert (version["sha256"], version["run"], version["metrics"]) == (digest, "run1", GOOD)
    assert version["arn"] == package["ModelPackageArn"]
    assert world.ledger.find_trained("d" * 64, CODE) == "run1"
    steps = world.ledger.run("run1")["steps"]
    assert [verdict["passed"] for verdict in steps["gates"]["verdicts"]] == [True, True, True]
    assert steps["register"]["version"] == 1
    # And its files lie under their digest
    assert world.store.read(world.lake.model_file(digest, "model.onnx")) == b"a model"
    assert len(world.keys(f"models/flight-delay/{digest}/")) == 7


def test_a_repeated_step_is_the_same_version(world: World, function: ModuleType) -> None:
    event = record_trained_run(world, archive_of(artifact_files(GOOD)))
    results = [function.handler(event, None) for _ in range(3)]
    assert results[0] == results[1] == results[2]
    assert len(list_packages()) == 1
    assert len(world.ledger.versions()) == 1
    # And the registered object version is still the newest: old ones expire
    key = world.lake.model_file(sha256(b"a model"), "model.onnx")
    newest = client("s3").head_object(Bucket=BUCKET, Key=key)["VersionId"]
    assert world.ledger.version(1)["model_version_id"] == newest


def test_a_failing_gate_ends_in_a_rejection(world: World, function: ModuleType) -> None:
    # Given numbers that fail two of three gates
    event = record_trained_run(
        world, archive_of(artifact_files({"roc_auc": 0.8, "log_loss": 0.25}, champion={"roc_auc": 0.9}))
    )
    # When it is judged
    result = function.handler(event, None)
    # Then the reason has both, and nothing is registered
    assert result["outcome"] == "rejected"
    assert result["reason"] == (
        "roc_auc 0.8000 < 0.8500 (the minimum); roc_auc 0.8000 < 0.8950 (the champion's 0.9000, 0.005 worse at most)"
    )
    assert list_packages() == []
    assert world.ledger.versions() == []
    assert world.keys("models/") == []
    # And the same data with the same code need not be trained again
    assert world.ledger.find_trained("d" * 64, CODE) == "run1"
    assert world.ledger.run("run1")["steps"]["gates"]["passed"] is False


def test_a_version_has_its_report_and_its_card(world: World, function: ModuleType) -> None:
    # Given an artifact that passes
    requests: list[dict[str, Any]] = []
    hooks = function.registration.registry._client.meta.events  # moto does not keep the card
    hooks.register("provide-client-params.sagemaker.CreateModelPackage", lambda params, **_: requests.append(params))
    function.handler(record_trained_run(world, archive_of(artifact_files(GOOD))), None)
    # Then the report lies beside the model file, and the run knows which version of it
    report = world.ledger.run("run1")["steps"]["report"]
    assert report["key"] == world.lake.model_file(sha256(b"a model"), "report.html")
    page = world.store.read(report["key"], report["version_id"]).decode()
    assert "flight-delay version 1 · run run1" in page
    assert "0.9200" in page
    about = client("s3").head_object(Bucket=BUCKET, Key=report["key"])
    assert about["ContentType"] == "text/html; charset=utf-8"
    # And the registry is given the card
    card = requests[0]["ModelCard"]
    assert card["ModelCardStatus"] == "PendingReview"
    content = json.loads(card["ModelCardContent"])
    assert content["intended_uses"]["intended_uses"].startswith("Will this flight arrive")
    assert content["evaluation_details"][0]["metric_groups"][0]["metric_data"][0]["value"] == 0.92
    assert content["additional_information"]["custom_details"]["model SHA-256"] == sha256(b"a model")


def test_a_search_is_recorded_with_its_run_and_its_params_with_the_version(world: World, function: ModuleType) -> None:
    # Given the artifact of a best trial, and the state machine's record of the search
    requests: list[dict[str, Any]] = []
    hooks = function.registration.registry._client.meta.events
    hooks.register("provide-client-params.sagemaker.CreateModelPackage", lambda params, **_: requests.append(params))
    report = {
        "params": {"trees": 9, "leaves": 31},
        "tuned": {"leaves": 31},
        "validation": {"validation_log_loss": 0.25},
    }
    event: dict[str, Any] = dict(
        record_trained_run(world, archive_of(artifact_files(GOOD) | {"report.json": json.dumps(report).encode()}))
    )
    search = {"job": "t-1", "trial": "t-1-002-0a", "trials": {"Completed": 3, "NonRetryableError": 1}}
    # When it is judged
    result = function.handler(event | {"tuning": search}, None)
    # Then it passes the same gates as any other
    assert result == {"outcome": "registered", "reason": "version 1: all 3 gates passed", "version": 1}
    # And the run has the search, the registry's card the params that were really used, and the report both
    step = world.ledger.run("run1")["steps"]["tuning"]
    assert (step["job"], step["trial"], step["params"]) == ("t-1", "t-1-002-0a", {"leaves": 31})
    assert (step["metric"], step["value"], step["trials"]["made"]) == ("validation_log_loss", 0.25, 4)
    details = json.loads(requests[0]["ModelCard"]["ModelCardContent"])["training_details"]["training_job_details"]
    assert details["user_provided_hyper_parameters"] == [
        {"name": "trees", "value": "9"}, {"name": "leaves", "value": "31"},
    ]  # fmt: skip
    key = world.lake.model_file(sha256(b"a model"), "report.html")
    assert "leaves=31: validation_log_loss 0.2500, the best of 4 trials, 1 failed" in world.store.read(key).decode()


def test_a_rejected_run_has_its_report(world: World, function: ModuleType) -> None:
    function.handler(record_trained_run(world, archive_of(artifact_files({"roc_auc": 0.8, "log_loss": 0.25}))), None)
    report = world.ledger.run("run1")["steps"]["report"]
    assert report["key"] == "runs/flight-delay/run1/report.html"
    page = world.store.read(report["key"], report["version_id"]).decode()
    assert "roc_auc 0.8000 &lt; 0.8500 (the minimum)" in page


@pytest.mark.parametrize("name", ["report-data.json", "report.json"])
@pytest.mark.parametrize("data", [b"not json", b"[]"])
def test_a_report_that_cannot_be_rendered_leaves_no_version(
    world: World, function: ModuleType, name: str, data: bytes
) -> None:
    with pytest.raises(ArchiveError, match=rf"{name} is not what the training job writes"):
        function.handler(record_trained_run(world, archive_of(artifact_files(GOOD) | {name: data})), None)
    assert list_packages() == []


def archive_with_link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("model.onnx")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive_with_link(), "model.onnx is no regular file"),
        (b"not an archive", "the artifact is no intact .tar.gz"),
        (
            archive_of({"model.onnx": b"m"}),
            "the artifact lacks baseline.json, evaluation.json, golden.json, report-data.json, report.json",
        ),
    ],
)
def test_an_invalid_artifact_is_an_error(world: World, function: ModuleType, data: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        function.handler(record_trained_run(world, data), None)
    assert list_packages() == []
    assert world.ledger.find_trained("d" * 64, CODE) is None


def test_a_missing_artifact_is_an_error(world: World, function: ModuleType) -> None:
    event = record_trained_run(world, b"x") | {"artifact": f"s3://{BUCKET}/runs/nothing"}
    with pytest.raises(NoObjectError, match="runs/nothing is not there"):
        function.handler(event, None)


@pytest.mark.parametrize("evaluation", [b"not json", b"[]", b"{}"])
def test_an_invalid_evaluation_is_an_error(world: World, function: ModuleType, evaluation: bytes) -> None:
    broken = archive_of(artifact_files(GOOD) | {"evaluation.json": evaluation})
    with pytest.raises(ArchiveError, match=r"evaluation\.json"):
        function.handler(record_trained_run(world, broken), None)
    assert list_packages() == []
