"""The part of `model.yaml` on the SageMaker endpoint that answers where `serving.target` says so."""

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
    """How many an endpoint has; each bills by the hour."""

    min: int = Field(default=1, ge=0, le=100)
    """It starts with as many, and never has fewer; two or more stand in different availability zones."""
    max: int = Field(default=1, ge=1, le=100)
    """It never has more; unless more than `min`, nothing scales."""

    @model_validator(mode="after")
    def _at_least_one(self) -> "Instances":
        if not self.min:
            raise ValueError(
                "an endpoint without instances answers nobody until one has started, which takes minutes: say min: 1, "
                "or target: lambda, which costs nothing while nothing is asked"
            )
        if self.max < self.min:
            raise ValueError(f"max is {self.max} and min is {self.min}: raise max")
        return self


class Endpoint(Strict):
    """A SageMaker real-time endpoint for each version, behind the same route, answers, capture and rollout."""

    instance_type: Annotated[str, AfterValidator(_an_instance)] = "ml.m5.large"
    """SageMaker instance type that answers; the laptop cloud has one process, whatever this says."""
    instances: Instances = Instances()
    invocations_per_instance: int = Field(default=3000, ge=1)
    """Requests a minute that one instance is to get; instances are added and taken away to keep to it."""
    startup_minutes: int = Field(default=10, ge=1, le=60)
    """How long the container may take until it answers; then the rollout has failed."""
