"""What an endpoint's process is started from, each time anew."""

from dataclasses import dataclass
from pathlib import Path

from penstock.local.sagemaker.protocol.record_store import Record
from penstock.local.sagemaker.protocol.settings import JobSettings

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
    component: str = ""
    """The inference component that it is; empty for a variant with a model."""
    generation: str = ""
    """Which update of the endpoint it is of; empty for the first."""

    def place(self, settings: JobSettings) -> Path:
        """The `/opt/ml`; no name of AWS's has a dot."""
        own = f"component.{self.component}" if self.component else self.variant
        return settings.home.endpoints / self.endpoint / (f"{own}.{self.generation}" if self.generation else own)

    @property
    def log_group(self) -> str:
        """Where its output goes."""
        group = f"InferenceComponents/{self.component}" if self.component else f"Endpoints/{self.endpoint}"
        return f"/aws/sagemaker/{group}"
