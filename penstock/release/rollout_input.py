"""The input of a rollout's state machine: the current code, bound to one model file by digest and object version."""

from typing import Any

from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Record
from penstock.release.endpoint_plan import NO_ENDPOINT, EndpointPlan
from penstock.release.live_service import Serving
from penstock.settings import AuthorizeSettings, PredictSettings
from penstock.spec.model import ModelSpec


def build_input(
    settings: AuthorizeSettings, spec: ModelSpec, lake: Lake, rollout: Record, serving: Serving, artifact: str
) -> dict[str, Any]:
    """Build the input of a rollout's execution.

    Args:
        settings: of the function authorize.
        spec: the model's.
        lake: where its files are.
        rollout: its record.
        serving: what serves as it starts.
        artifact: S3 URI of the registered archive, which an endpoint is made from.
    """
    plan, version, sha256 = EndpointPlan.read(settings.endpoint), int(rollout["version"]), str(rollout["sha256"])
    endpoint = plan.build_input(version, sha256, artifact) if plan else dict(NO_ENDPOINT)
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
        endpoint_seconds=str(_endpoint_seconds(spec.serving.timeout_seconds)) if plan else "",
        **deployed_settings(settings, spec),
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


def deployed_settings(settings: AuthorizeSettings, spec: ModelSpec) -> dict[str, str]:
    """Return the settings that a rollout binds, by the names in `penstock.predict_settings.DEPLOYED`."""
    return {
        "capture": settings.capture,
        "capture_sample": str(spec.capture.sample),
        "captured": spec.capture.when,
        "hash_secret": settings.hash_secret,
        "max_rows": str(spec.serving.max_rows),
    }


def build_return_input(document: dict[str, Any], lambda_version: str, reason: str) -> dict[str, Any]:
    """Build the input of an execution that only reverts; `reason` is how the rollout's own execution ended."""
    return document | {"version": lambda_version, "back": reason}


def _endpoint_seconds(timeout_seconds: int) -> float:
    """Return the timeout of endpoint requests; the rest of the function's time is for reporting a failure."""
    return max(0.5, timeout_seconds - 1.0)


def _weights(spec: ModelSpec, rollout: Record, serving: Serving) -> list[int]:
    """Return the traffic steps; none for a rollback, or if no live version could keep a share."""
    return [] if serving.version is None or "rolls_back" in rollout else spec.rollout.steps()
