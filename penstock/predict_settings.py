"""The base of all functions' settings, and those of predict, apart from the others to keep its cold start short."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self

PREFIX = "PENSTOCK_"
AFTER, BEFORE = "after the answer", "before the answer"


class SettingsError(Exception):
    """A required environment variable is not set."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base: fields are strings; subclasses add what one function needs."""

    stage: str
    model: str

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the name of a field's environment variable."""
        return PREFIX + field.upper()

    def environment(self) -> dict[str, str]:
        """Return the environment variables to set on the function."""
        values = {f.name: str(getattr(self, f.name)) for f in fields(self)}
        return {self.variable(name): value for name, value in values.items() if value}

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from the environment variables of this process.

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
"""The fields of PredictSettings that a deployment sets. A published version keeps its values, so that a new value goes
live by a rollout, as new code does."""


@dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """Settings of the predict function; a published version also binds its model file, by digest."""

    bucket: str
    capture: str
    max_rows: str = "500"
    """Most rows in one request."""
    version: str = ""
    """Model package version; empty until a rollout has published one."""
    model_key: str = ""
    model_sha256: str = ""
    model_version_id: str = ""
    """S3 version id of the model file at registration; empty if the bucket is not versioned."""
    capture_sample: str = "1.0"
    """Share of the answers that are captured."""
    captured: str = AFTER
    """`AFTER`: an answer is captured after it was sent, if possible. `BEFORE`: it is captured first."""
    hash_secret: str = ""
    """ARN of the secret that keys the hashes of personal columns; empty where the contract hashes none."""
    feature_store: str = ""
    """The online store that completes requests, as `FeatureGroup.binding` writes it; empty for none."""
    endpoint: str = ""
    """Name of the SageMaker endpoint that scores the requests; empty if the function scores them itself."""
    endpoint_seconds: str = ""
    """Timeout of a request to the endpoint, in seconds."""
