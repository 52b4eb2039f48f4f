"""The environment variables of each Lambda function as a dataclass: infra sets them, the handler reads them.

One class per folder in `functions/`, and one each for the inspection job and the serving container. The field `ledger`
is the environment variable `PENSTOCK_LEDGER`; a field with a default may be absent. Both sides use the same class, so a
variable cannot be set under one name and read under another.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.predict_settings import PREFIX, PredictSettings, Settings, SettingsError

__all__ = [
    "PREFIX",
    "AuthorizeSettings",
    "EndBatchSettings",
    "EndRolloutSettings",
    "EndRunSettings",
    "InspectSettings",
    "JoinBatchSettings",
    "LakeSettings",
    "MonitorSettings",
    "PlanBatchSettings",
    "PredictSettings",
    "RegisterSettings",
    "ScorePartSettings",
    "ServeSettings",
    "Settings",
    "SettingsError",
    "SmokeTestSettings",
    "StartBatchSettings",
    "StartRunSettings",
    "ValidateSettings",
    "WatchRolloutSettings",
    "model_folder",
]


def model_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in a function's bundle that holds `model.yaml` and `contract.yaml`: `model/` at its root."""
    return Path(environ.get("LAMBDA_TASK_ROOT", ".")) / "model"


@dataclass(frozen=True, kw_only=True)
class LakeSettings(Settings):
    """Settings of every function that reads or writes the ledger."""

    bucket: str
    ledger: str


@dataclass(frozen=True, kw_only=True)
class StartRunSettings(LakeSettings):
    pipeline: str
    """ARN of the training pipeline's state machine."""


@dataclass(frozen=True, kw_only=True)
class ValidateSettings(LakeSettings):
    code: str
    """Digest of everything that decides what the training job does (`infra/training_code.py`)."""
    sources: str = ""
    """The same without the model's specification and the Dockerfile: shows whether code or only parameters changed."""
    model_code: str = ""
    """Digest of the model's folder; with the next two it makes up `sources`."""
    training_code: str = ""
    """Digest of the training steps and the library modules that they import."""
    packages: str = ""
    """Digest of the locked versions of the packages that training uses."""
    archive: str = ""
    """S3 URI of the zip file of the model's folder, which each run keeps for its jobs."""
    image: str = ""
    """URI of the image of the training job."""
    base: str = ""
    """Digest of the image's Dockerfile; the image's own name would also change with the serving code."""
    features_made: str = ""
    """When the feature group was created: a group that was created again is empty."""


@dataclass(frozen=True, kw_only=True)
class InspectSettings(Settings):
    """Settings of the processing job that checks uploads too large for validate."""

    bucket: str
    run: str
    """Id of the run whose files the job checks."""


@dataclass(frozen=True, kw_only=True)
class RegisterSettings(LakeSettings):
    group: str
    """Name of the model package group."""


@dataclass(frozen=True, kw_only=True)
class EndRunSettings(LakeSettings):
    topic: str
    """ARN of the stage's notification topic."""


@dataclass(frozen=True, kw_only=True)
class AuthorizeSettings(LakeSettings):
    topic: str
    group: str
    """Name of the model package group."""
    rollout: str
    """ARN of the rollout's state machine."""
    function: str
    """Name of the predict function."""
    capture: str
    """Name of the capture delivery stream, which a published version binds."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns, which a published version binds too."""
    feature_store: str = ""
    """The online feature store (`penstock.features.group`), which a published version binds too; empty for none."""
    endpoint: str = ""
    """The plan of a version's endpoint (`penstock.release.endpoint_plan`); empty if predict scores itself."""


@dataclass(frozen=True, kw_only=True)
class SmokeTestSettings(LakeSettings):
    function: str


@dataclass(frozen=True, kw_only=True)
class WatchRolloutSettings(LakeSettings):
    """Settings of watch_rollout; the limits are in the model's specification."""

    function: str
    """Name of the predict function, whose new version gets the shadow's requests."""


@dataclass(frozen=True, kw_only=True)
class EndRolloutSettings(LakeSettings):
    topic: str
    function: str
    """Name of the predict function."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """Settings of the serving container (`training/steps/serve/server.py`), set when its SageMaker model is created."""

    capture: str = ""
    """Name of the delivery stream; empty captures nothing."""
    capture_sample: str = "1.0"
    """Share of the answers that are captured."""
    version: str = ""
    """Model package version."""
    model_sha256: str = ""
    """Digest that the model file must have; empty skips the check."""
    max_rows: str = "500"
    """Most rows in one request."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns; empty where the contract hashes none."""
    workers: str = ""
    """Number of worker processes; empty for one per core."""
    host: str = "0.0.0.0"  # noqa: S104 - a container's own network
    """Address to listen at; a laptop's is 127.0.0.1."""


@dataclass(frozen=True, kw_only=True)
class StartBatchSettings(LakeSettings):
    machine: str
    """ARN of the batch's state machine."""


@dataclass(frozen=True, kw_only=True)
class PlanBatchSettings(LakeSettings):
    part_rows: str = "10000"
    """Most rows in one part."""


@dataclass(frozen=True, kw_only=True)
class ScorePartSettings(Settings):
    bucket: str


@dataclass(frozen=True, kw_only=True)
class JoinBatchSettings(LakeSettings):
    pass


@dataclass(frozen=True, kw_only=True)
class EndBatchSettings(LakeSettings):
    topic: str


@dataclass(frozen=True, kw_only=True)
class MonitorSettings(LakeSettings):
    namespace: str
    """CloudWatch namespace of the model's metrics."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns; empty where the contract hashes none."""
