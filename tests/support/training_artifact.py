"""A training job's artifact, and the run and the registry around it, for tests of registration."""

import io
import json
import tarfile
from typing import Any

from tests.support.world import CODE, GROUP, World, client

GOOD = {"roc_auc": 0.92, "log_loss": 0.25}
BASELINE = {"roc_auc": 0.5, "log_loss": 0.52}


def archive_of(files: dict[str, bytes]) -> bytes:
    """Pack files as a training job's `model.tar.gz`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def artifact_files(challenger: dict[str, float], champion: dict[str, float] | None = None) -> dict[str, bytes]:
    """The files of an artifact with these metrics."""
    evaluation = {"challenger": challenger, "baseline": BASELINE, "champion": champion, "holdout_rows": 10}
    documents = {"evaluation": evaluation, "baseline": {}, "golden": [], "report": {}, "report-data": {}}
    return {"model.onnx": b"a model"} | {
        f"{name}.json": json.dumps(about).encode() for name, about in documents.items()
    }


def record_trained_run(world: World, data: bytes, run: str = "run1") -> dict[str, str]:
    """Record a run whose training job wrote an artifact; the event of the next step."""
    if world.ledger.holder("run") is None:
        world.open_run(run)
    world.ledger.note_step(run, "validate", "t", code=CODE)
    key = f"{world.lake.run_output(run)}job/output/model.tar.gz"
    world.store.write(key, data)
    return {"run": run, "dataset": "d" * 64, "artifact": world.lake.uri(key), "image": "an/image:1"}


def list_packages() -> list[dict[str, Any]]:
    """The model packages of the group, as the registry describes them."""
    summaries = client("sagemaker").list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    return [client("sagemaker").describe_model_package(ModelPackageName=item["ModelPackageArn"]) for item in summaries]
