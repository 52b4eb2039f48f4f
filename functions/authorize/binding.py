"""What a rollout is asked to publish: the code as it is, bound to one model file by digest and object version."""

from typing import Any

from penstock.lake import MODEL_FILE, Lake
from penstock.ledger import Record
from penstock.service import Serving
from penstock.settings import AuthorizeSettings, PredictSettings
from penstock.spec import ModelSpec


def document(
    settings: AuthorizeSettings, spec: ModelSpec, lake: Lake, rollout: Record, serving: Serving
) -> dict[str, Any]:
    """The input of a rollout's execution, of the rollout's record and of what serves as it starts."""
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
        captured=spec.capture.when,
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
        "weights": _weights(spec, rollout, serving),
        "version": "",
        "back": "",
    }


def way_back(started: dict[str, Any], serving: Serving, reason: str) -> dict[str, Any]:
    """The same for an execution that only takes the traffic back, of a rollout whose own execution died of `reason`."""
    return started | {"version": next(iter(serving.shared)), "back": reason}


def _weights(spec: ModelSpec, rollout: Record, serving: Serving) -> list[int]:
    """All at once where there is nothing to go on with, and where what is live does harm."""
    return [] if serving.version is None or "rolls_back" in rollout else spec.rollout.steps()
