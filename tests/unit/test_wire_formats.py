"""What others read of Penstock stays as it is: records, keys, documents, replies, tags, events, variables, exit codes.

The snapshot beside this file is what the code wrote when it was taken. `PENSTOCK_WRITE_SNAPSHOT=1` takes it anew; what
then differs in it is a change that somebody else's program sees.
"""

import difflib
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import onnx
import pytest
from mlflow import MlflowClient
from moto import mock_aws

from demo.flights import flights
from penstock.aws.s3_store import sha256
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import check
from penstock.readers.open_table import read_table
from tests.support import model_code
from tests.support.wire.shapes import Names, content, shape
from tests.support.wire.static import STATIC, as_json, metadata
from tests.support.wire.story import Story, lived
from tests.support.world import BUCKET, FLIGHT_DELAY, GROUP, MODEL, REGION, STAGE, TABLE, World, client
from tests.unit.training.test_train import prepared
from training.steps import __main__ as entry

SNAPSHOT = Path(__file__).with_name("wire_formats.json")
WRITE = os.environ.get("PENSTOCK_WRITE_SNAPSHOT") == "1"
STORY = (
    "cloudwatch metrics",
    "executions",
    "forgetting",
    "ledger",
    "lake objects",
    "metadata of the trained file",
    "mlflow",
    "notices",
    "registry",
    "replies",
    "training job",
)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


def job(patch: pytest.MonkeyPatch, root: Path) -> dict[str, bytes]:
    """A training job on few rows with few trees; what it leaves."""
    copy = root / "project"
    folder = copy / FLIGHT_DELAY.relative_to(FLIGHT_DELAY.parents[2])
    shutil.copytree(FLIGHT_DELAY, folder)
    path = folder / "model.yaml"
    path.write_text(path.read_text().replace("trees: 150", "trees: 5"))
    patch.setattr(model_code, "project", copy)
    table = check(read_contract(folder), read_table(flights([1]).head(600).write_csv().encode(), "a.csv")).good
    container = prepared(root / "job", table)
    model_code.hand_over(container.root)
    patch.setenv("PENSTOCK_ML_ROOT", str(container.root))
    assert entry.main(["train"]) == 0
    return {path.name: path.read_bytes() for path in (container.root / "model").iterdir()}


def resealed(data: bytes) -> bytes:
    """The same model under another digest."""
    model = onnx.load_from_string(data)
    model.doc_string = "another"
    return bytes(model.SerializeToString(deterministic=True))


class Observed:
    """What the story left, by section."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, f"file://{root}/mlflow"
        self.sections: dict[str, Any] = {}
        self._looks: list[tuple[list[Any], dict[str, Any]]] = []

    def names(self, story: Story) -> Names:
        """Version ids, digests of model files, and MLflow's names."""
        names = story.names
        names |= {self.store: "<mlflow>", str(self.root): "<root>"}
        for words, data in (("first", story.model["model.onnx"]), ("second", story.other)):
            digest = sha256(data)
            names |= {digest: f"<sha256 of the {words} model>", digest[:12]: f"<sha256[:12] of the {words} model>"}
        for page in client("s3").get_paginator("list_object_versions").paginate(Bucket=BUCKET):
            for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
                names |= {item["VersionId"]: "<version id>"} if item["VersionId"] != "null" else {}
        names |= {item["code"]: "<code of predict>" for item in story.world.ledger.rollouts() if "code" in item}
        for run in self.mlflow():
            names |= {run.info.run_id: "<mlflow run>", run.info.experiment_id: "<mlflow experiment>"}
        return Names(names)

    def mlflow(self) -> list[Any]:
        store = MlflowClient(tracking_uri=self.store)
        experiments = [item.experiment_id for item in store.search_experiments(filter_string=f"name = '{MODEL}'")]
        return list(store.search_runs(experiments, order_by=["tags.`penstock.version`", "attributes.start_time"]))

    def look(self, story: Story) -> None:
        """Records and objects as they are now."""
        names = self.names(story)
        items = [names.value(item) for item in client("dynamodb").scan(TableName=TABLE)["Items"]]
        items.sort(key=lambda item: json.dumps(item, sort_keys=True))
        items.sort(key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
        objects: dict[str, list[Any]] = {}
        for key in story.world.keys(""):
            about = client("s3").get_object(Bucket=BUCKET, Key=key)
            body = content(key, about["Body"].read())
            marks = {"content_type": about["ContentType"], "metadata": about["Metadata"], "content": body}
            same = objects.setdefault(names.text(key), [])  # deliveries of one second come in any order
            same += [value for value in [names.value(marks)] if value not in same]
        objects = {
            key: sorted(same, key=lambda item: json.dumps(item, sort_keys=True)) for key, same in objects.items()
        }
        self._looks.append((items, objects))

    def take(self, story: Story) -> None:
        """All sections, at the story's end."""
        names, world = self.names(story), story.world
        (items, objects), (later, later_objects) = self._looks
        machines = {"pipeline": world.pipeline, "rollout": world.rollout, "batch": world.batch}
        inputs = {name: [json.loads(run["input"]) for run in world.executions(arn)] for name, arn in machines.items()}
        measured = client("cloudwatch").list_metrics(Namespace=f"Penstock/{STAGE}/{MODEL}")["Metrics"]
        started = {
            "cloudwatch metrics": {
                item["MetricName"]: sorted(entry["Name"] for entry in item["Dimensions"]) for item in measured
            },
            "executions": inputs,
            "forgetting": {
                "records": [item for item in later if item not in items],
                "objects": sorted(later_objects.keys() - objects.keys()),
                "gone": sorted(objects.keys() - later_objects.keys()),
            },
            "ledger": items,
            "lake objects": objects,
            "metadata of the trained file": metadata(story.model["model.onnx"]),
            "mlflow": [self.logged(run) for run in self.mlflow()],
            "notices": world.notices(),
            "registry": packages(),
            "replies": story.replies,
            "training job": {name: content(name, data) for name, data in story.model.items()},
        }
        self.sections = {name: as_json(names.value(document)) for name, document in started.items()}

    def logged(self, run: Any) -> dict[str, Any]:
        """Of one of MLflow's runs what Penstock sent."""
        store = MlflowClient(tracking_uri=self.store)
        card = Path(store.download_artifacts(run.info.run_id, "model-card.json"))
        return {
            "name": run.info.run_name,
            "status": run.info.status,
            "tags": {name: value for name, value in run.data.tags.items() if name.startswith("penstock.")},
            "params": run.data.params,
            "metrics": run.data.metrics,
            "files": sorted(item.path for item in store.list_artifacts(run.info.run_id)),
            "model card": shape(json.loads(card.read_text(encoding="utf-8"))),
        }


def packages() -> list[dict[str, Any]]:
    """The registry's versions, without its own times and names."""
    registry = client("sagemaker")
    summaries = registry.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    about = [registry.describe_model_package(ModelPackageName=item["ModelPackageArn"]) for item in summaries]
    about.sort(key=lambda item: item["ModelPackageVersion"])
    aside = {"ResponseMetadata", "CreationTime", "LastModifiedTime", "CreatedBy", "LastModifiedBy"}
    return [{name: value for name, value in item.items() if name not in aside} for item in about]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The story, told once for all its sections."""
    root = tmp_path_factory.mktemp("wire")
    with pytest.MonkeyPatch.context() as patch, mock_aws(), ExitStack() as closing:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        model = job(patch, root)
        (root / "stage").mkdir()
        world = World.build(patch, root / "stage", closing)
        observed = Observed(root)
        story = Story(world, model, resealed(model["model.onnx"]), observed.store)
        lived(story, observed.look)
        observed.take(story)
    return observed.sections


def compared(section: str, document: Any) -> None:
    """Hold a section against the snapshot, or write it there."""
    snapshot = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else {}
    if WRITE:
        SNAPSHOT.write_text(as_text(snapshot | {section: document}), encoding="utf-8")
        return
    before, now = as_text(snapshot.get(section)).splitlines(), as_text(document).splitlines()
    difference = list(difflib.unified_diff(before, now, f"snapshot: {section}", f"code: {section}", lineterm="", n=4))
    if difference:
        pytest.fail("\n".join(["a wire format changed", *difference]), pytrace=False)


def as_text(document: Any) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("section", STORY)
def test_records_and_messages_of_a_models_life_equal_the_snapshot(section: str, observed: dict[str, Any]) -> None:
    # Given a model that was trained, rolled out, asked, watched, taken back, and whose rows were forgotten
    document = observed[section]
    # When what it left is held against the snapshot, then nothing differs
    compared(section, document)


@pytest.mark.parametrize("section", STATIC)
def test_names_and_numbers_that_other_programs_use_equal_the_snapshot(section: str) -> None:
    # Given names and numbers that other programs know
    document = as_json(STATIC[section]())
    # When they are held against the snapshot, then nothing differs
    compared(section, document)


def test_the_snapshot_has_no_other_sections() -> None:
    assert set(json.loads(SNAPSHOT.read_text(encoding="utf-8"))) == {*STORY, *STATIC}
