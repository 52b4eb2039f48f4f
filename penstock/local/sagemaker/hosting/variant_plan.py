"""The plan of a production variant: everything that its process is started from."""

from dataclasses import dataclass, fields
from pathlib import Path

from penstock.local.sagemaker.core.record_store import Record
from penstock.local.sagemaker.core.settings import JobSettings

STARTUP_SECONDS = 480.0
"""AWS gives a container eight minutes unless ContainerStartupHealthCheckTimeoutInSeconds says otherwise."""


@dataclass(frozen=True)
class VariantPlan:
    """A variant's image, model and role, saved with its endpoint, since the model may be deleted before a restart."""

    endpoint: str
    variant: str
    image: str
    source: Record
    environment: dict[str, str]
    role: str
    isolated: bool
    startup: float = STARTUP_SECONDS
    generation: str = ""
    """Identifies the update of the endpoint; empty for its creation."""

    @classmethod
    def restore(cls, record: Record) -> "VariantPlan":
        """Read a saved plan, ignoring members that an older version of the laptop cloud wrote."""
        members = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in members})

    def directory(self, settings: JobSettings) -> Path:
        """Return the directory for `/opt/ml`; names on AWS contain no dot, so it is unique."""
        name = f"{self.variant}.{self.generation}" if self.generation else self.variant
        return settings.home.endpoints / self.endpoint / name

    @property
    def log_group(self) -> str:
        """The CloudWatch log group for its output."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"
