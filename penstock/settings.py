"""Each Lambda's environment as a typed model: infra fills it in, the handler checks it at start.

One class per folder in `functions/`, and one for the job that takes over from a function. A field `ledger` travels as
the environment variable `PENSTOCK_LEDGER`; a field with a default may be absent. The same class on both sides, so a
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
    """Where a function's bundle holds `model.yaml` and `contract.yaml`: `model/` at its root."""
    return Path(environ.get("LAMBDA_TASK_ROOT", ".")) / "model"


@dataclass(frozen=True, kw_only=True)
class LakeSettings(Settings):
    """What every function that keeps records needs."""

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
    """The same without the model's specification and the Dockerfile: tells other code from other parameters."""
    model_code: str = ""
    """Digest of the model's folder; with the next two it makes up `sources`."""
    training_code: str = ""
    """Digest of the training steps and the library modules that they import."""
    packages: str = ""
    """Digest of the locked versions of the packages that training uses."""
    archive: str = ""
    """S3 URI of the zip file of the model's folder, which each run takes along for its jobs."""
    image: str = ""
    """What the training job runs in."""
    base: str = ""
    """Digest of what the image is built on, its Dockerfile: the image's own name changes with what serves, too."""
    features_made: str = ""
    """When the feature group was made: one that was made anew is empty."""


@dataclass(frozen=True, kw_only=True)
class InspectSettings(Settings):
    """The processing job's that checks what is too large for validate."""

    bucket: str
    run: str
    """Whose files it checks."""


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
    """Name of the capture delivery stream; part of what a published version binds."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns; another part."""
    feature_store: str = ""
    """The online feature store (`penstock.features.group`), which a published version binds too; empty for none."""
    endpoint: str = ""
    """A version's endpoint, described (`penstock.release.endpoint_plan`); empty where predict scores itself."""


@dataclass(frozen=True, kw_only=True)
class SmokeTestSettings(LakeSettings):
    function: str


@dataclass(frozen=True, kw_only=True)
class WatchRolloutSettings(LakeSettings):
    """What it compares by stands in the model's specification."""

    function: str
    """Name of the predict function, whose new version a shadow asks."""


@dataclass(frozen=True, kw_only=True)
class EndRolloutSettings(LakeSettings):
    topic: str
    function: str
    """Name of the predict function."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """The serving container's (`training/steps/serve/server.py`), set where its SageMaker model is made."""

    capture: str = ""
    """Name of the delivery stream; empty captures nothing."""
    capture_sample: str = "1.0"
    """Share of the answers that are captured."""
    version: str = ""
    """Model package version."""
    model_sha256: str = ""
    """Digest that the file must have; empty serves whatever lies there."""
    max_rows: str = "500"
    """Most rows in one request."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns; empty where the contract hashes none."""
    workers: str = ""
    """Processes that answer; as many as there are cores unless set."""
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
