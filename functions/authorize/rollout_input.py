"""What a rollout is asked to publish: the code as it is, bound to one model file by digest and object version."""

from typing import Any

from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Record
from penstock.release.endpoint_plan import NO_ENDPOINT, EndpointPlan
from penstock.release.live_service import Serving
from penstock.settings import AuthorizeSettings, PredictSettings
from penstock.spec.model import ModelSpec


def document(
    settings: AuthorizeSettings, spec: ModelSpec, lake: Lake, rollout: Record, serving: Serving, artifact: str
) -> dict[str, Any]:
    """The input of a rollout's execution.

    Args:
        settings: authorize's.
        spec: the model's.
        lake: where its files are.
        rollout: its record.
        serving: what serves as it starts.
        artifact: S3 URI of the registered archive, which an endpoint is made of.
    """
    plan, version, sha256 = EndpointPlan.read(settings.endpoint), int(rollout["version"]), str(rollout["sha256"])
    endpoint = plan.document(version, sha256, artifact) if plan else dict(NO_ENDPOINT)
    predict = PredictSettings(
        stage=settings.stage,
        model=settings.model,
        bucket=settings.bucket,
        version=str(rollout["version"]),
        model_key=lake.model_file(rollout["sha256"], MODEL_FILE),
        model_sha256=rollout["sha256"],
        model_version_id=rollout.get("model_version_id", ""),
        feature_store=settings.feature_store,
        endpoint=endpoint["name"],
        endpoint_seconds=str(_patience(spec.serving.timeout_seconds)) if plan else "",
        **deployed(settings, spec),
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
        "endpoint": endpoint,
        # Requests that are under way when the alias moves may be on their way to an endpoint that is about to go.
        "drains": bool(endpoint["name"] or serving.endpoint),
        "version": "",
        "back": "",
    }


def deployed(settings: AuthorizeSettings, spec: ModelSpec) -> dict[str, str]:
    """What a rollout binds of a deployment, by the names in `penstock.predict_settings.DEPLOYED`."""
    return {
        "capture": settings.capture,
        "capture_sample": str(spec.capture.sample),
        "captured": spec.capture.when,
        "hash_secret": settings.hash_secret,
        "max_rows": str(spec.serving.max_rows),
    }


def way_back(started: dict[str, Any], lambda_version: str, reason: str) -> dict[str, Any]:
    """The same for an execution that only takes a version back, of a rollout whose own execution died of `reason`."""
    return started | {"version": lambda_version, "back": reason}


def _patience(timeout_seconds: int) -> float:
    """How long an endpoint is waited for: what is left of the function's time is for saying that it did not answer."""
    return max(0.5, timeout_seconds - 1.0)


def _weights(spec: ModelSpec, rollout: Record, serving: Serving) -> list[int]:
    """All at once where there is nothing to go on with, and where what is live does harm."""
    return [] if serving.version is None or "rolls_back" in rollout else spec.rollout.steps()
