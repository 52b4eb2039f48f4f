"""Fields of `model.yaml` for the SageMaker endpoint of `serving.target: endpoint`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from penstock.spec.base import Strict

Target = Literal["lambda", "endpoint"]
_INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")


def _an_instance(name: str) -> str:
    if not _INSTANCE.fullmatch(name):
        raise ValueError(f"{name!r} is no instance type of SageMaker's: give one such as ml.m5.large")
    return name


class Instances(Strict):
    """Number of instances of an endpoint; each is billed by the hour."""

    min: int = Field(default=1, ge=0, le=100)
    """The endpoint starts with as many and never has fewer; two or more run in different availability zones."""
    max: int = Field(default=1, ge=1, le=100)
    """The endpoint never has more; it scales only if this is more than `min`."""

    @model_validator(mode="after")
    def _at_least_one(self) -> "Instances":
        if not self.min:
            raise ValueError(
                "an endpoint without instances answers no request until one has started, which takes minutes: write "
                "min: 1, or target: lambda, which costs nothing while there are no requests"
            )
        if self.max < self.min:
            raise ValueError(f"max is {self.max} and min is {self.min}: raise max")
        return self


class Endpoint(Strict):
    """A SageMaker real-time endpoint for each version; route, answers, capture and rollout stay the same."""

    instance_type: Annotated[str, AfterValidator(_an_instance)] = "ml.m5.large"
    """SageMaker instance type; the laptop cloud ignores it and runs one process."""
    instances: Instances = Instances()
    invocations_per_instance: int = Field(default=3000, ge=1)
    """Target for autoscaling: requests a minute to one instance."""
    startup_minutes: int = Field(default=10, ge=1, le=60)
    """How long the container may take until it answers; after that the rollout fails."""
