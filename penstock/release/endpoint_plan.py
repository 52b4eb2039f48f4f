"""The plan of a model's endpoints, independent of the version: infra writes it, a rollout binds a version to it.

A plan travels as JSON in authorize's environment and in the stack's outputs, so that the rollout that makes an endpoint
and the command that asks whether deployed code is live derive the same name.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from penstock.settings import ServeSettings

VARIANT = "all"
"""Name of an endpoint's one variant."""
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
"""The variant's scalable dimension."""
NAME_LIMIT = 63
"""Characters in the names of SageMaker's models, configurations and endpoints."""


def prefix(stage: str, model: str) -> str:
    """Return the prefix of the names of a model's endpoints; no model's name has two hyphens in a row."""
    return f"{stage}-{model}--"


@dataclass(frozen=True, kw_only=True)
class EndpointPlan:
    """Instance type, image, environment and instance counts of a model's endpoints."""

    stage: str
    model: str
    image: str
    role: str
    """ARN that the container runs by."""
    environment: Mapping[str, str]
    """The container's, without the version's own part."""
    instance_type: str
    least: int
    most: int
    invocations: int
    """Per minute, of one instance."""
    startup_seconds: int

    def binding(self) -> str:
        """Write the plan as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, binding: str) -> Self | None:
        """Read what `binding` wrote; None for an empty text, where a model is served without endpoints."""
        return cls(**json.loads(binding)) if binding else None

    def name(self, version: int, sha256: str) -> str:
        """Name a version's endpoint, its configuration and its SageMaker model; the same content has the same name."""
        digest = hashlib.sha256(f"{self.binding()} {version} {sha256}".encode()).hexdigest()
        return f"{prefix(self.stage, self.model)}{version}-{digest[:12]}"

    def build_input(self, version: int, sha256: str, artifact: str) -> dict[str, Any]:
        """Build the endpoint's part of a rollout's input (`infra/constructs/service/rollout_endpoint.py`).

        Args:
            version: the model package's.
            sha256: of the model file.
            artifact: S3 URI of the registered archive.
        """
        own = {ServeSettings.variable("version"): str(version), ServeSettings.variable("model_sha256"): sha256}
        plan = {name: value for name, value in asdict(self).items() if name not in {"stage", "model"}}
        return plan | {
            "name": self.name(version, sha256),
            "artifact": artifact,
            "environment": {**self.environment, **own},
        }


NO_ENDPOINT: Mapping[str, Any] = {"name": ""}
"""The same for a version that the predict function scores itself."""
