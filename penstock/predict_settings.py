"""What every function's settings are, and those of predict, whose cold start makes no other function's class."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self

PREFIX = "PENSTOCK_"
AFTER, BEFORE = "after the answer", "before the answer"


class SettingsError(Exception):
    """A variable that the function needs is not set."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base: fields are strings; subclasses add what one function needs."""

    stage: str
    model: str

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable's name of a field."""
        return PREFIX + field.upper()

    def environment(self) -> dict[str, str]:
        """The variables to set on the function."""
        values = {f.name: str(getattr(self, f.name)) for f in fields(self)}
        return {self.variable(name): value for name, value in values.items() if value}

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings of this process.

        Raises:
            SettingsError: naming every variable that is missing.
        """
        required = [f.name for f in fields(cls) if f.default is MISSING]
        missing = [cls.variable(name) for name in required if not environ.get(cls.variable(name))]
        if missing:
            raise SettingsError(f"{cls.__name__} needs {', '.join(missing)}: set by infra/constructs")
        present = {f.name: environ[cls.variable(f.name)] for f in fields(cls) if environ.get(cls.variable(f.name))}
        return cls(**present)


DEPLOYED = ("capture", "capture_sample", "captured", "hash_secret", "max_rows")
"""Of predict's settings those that a deployment decides. A published version keeps its own, so that another value goes
live by a rollout, as new code does."""


@dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """The predict function's own, and what a published version binds: which model file, by digest."""

    bucket: str
    capture: str
    max_rows: str = "500"
    """Most rows in one request."""
    version: str = ""
    """Model package version; empty until a rollout has published one."""
    model_key: str = ""
    model_sha256: str = ""
    model_version_id: str = ""
    """Which version of the object S3 gave at registration; empty where the bucket keeps none."""
    capture_sample: str = "1.0"
    """Share of the answers that are captured."""
    captured: str = AFTER
    """Whether an answer goes out before its capture, where it can, or waits for it (`BEFORE`)."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns; empty where the contract hashes none."""
    feature_store: str = ""
    """The online store that completes requests, as `FeatureGroup.binding` writes it; empty for none."""
    endpoint: str = ""
    """Name of the SageMaker endpoint that scores in this function's place; empty where it does so itself."""
    endpoint_seconds: str = ""
    """How long that is waited for."""
