"""What a rollout is asked to publish: the code as it is, bound to one model file by digest and object version."""

from typing import Any

from penstock.lake import Lake
from penstock.ledger import Record
from penstock.settings import AuthorizeSettings, PredictSettings
from penstock.spec import ModelSpec

MODEL_FILE = "model.onnx"


def document(settings: AuthorizeSettings, spec: ModelSpec, lake: Lake, rollout: Record) -> dict[str, Any]:
    """The input of a rollout's execution, of the rollout's record."""
    predict = PredictSettings(
        stage=settings.stage,
        model=settings.model,
        bucket=settings.bucket,
        capture=settings.capture,
        max_rows=str(spec.serving.max_rows),
        version=str(rollout["version"]),
        model_key=lake.model_file(rollout["sha256"], MODEL_FILE),
        model_sha256=rollout["sha256"],
        model_version_id=rollout.get("model_version_id", ""),
        capture_sample=str(spec.capture.sample),
        hash_secret=settings.hash_secret,
        feature_store=settings.feature_store,
    )
    return {
        "rollout": rollout["id"],
        "model": spec.name,
        "package": rollout["version"],
        "package_arn": rollout["arn"],
        "function": settings.function,
        "description": f"version {rollout['version']}, SHA-256 {rollout['sha256'][:12]}",
        "environment": predict.environment(),
    }
