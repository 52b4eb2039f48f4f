"""What an endpoint's process is started from, each time anew."""

from dataclasses import dataclass, fields
from pathlib import Path

from penstock.local.sagemaker.core.record_store import Record
from penstock.local.sagemaker.core.settings import JobSettings

STARTUP_SECONDS = 480.0
"""AWS gives a container eight minutes unless ContainerStartupHealthCheckTimeoutInSeconds says otherwise."""


@dataclass(frozen=True)
class Plan:
    """What a variant runs: saved with its endpoint, since model and configuration may be deleted meanwhile."""

    endpoint: str
    variant: str
    image: str
    source: Record
    environment: dict[str, str]
    role: str
    isolated: bool
    startup: float = STARTUP_SECONDS
    generation: str = ""
    """Which update of the endpoint it is of; empty for the first."""

    @classmethod
    def restore(cls, record: Record) -> "Plan":
        """Read a saved plan, ignoring members that an older version of the laptop cloud wrote."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in known})

    def place(self, settings: JobSettings) -> Path:
        """The `/opt/ml`; no name of AWS's has a dot."""
        name = f"{self.variant}.{self.generation}" if self.generation else self.variant
        return settings.home.endpoints / self.endpoint / name

    @property
    def log_group(self) -> str:
        """Where its output goes."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"
