"""What really serves: asked of Lambda, not of our own records."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from penstock.predict_settings import DEPLOYED, PredictSettings
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.pruning import superfluous

LIVE = "live"
"""The alias that takes the traffic."""


@dataclass(frozen=True)
class Serving:
    """The published version that the alias points at."""

    lambda_version: str
    version: int | None
    """The model package version that it binds; None for the version that CloudFormation made, which has no model."""
    sha256: str
    code: str = ""
    """Names what runs beside the model (`code_of`)."""
    shared: dict[str, float] = field(default_factory=dict)
    """Published versions that take a share of the traffic beside it, while a rollout is under way: version → share."""
    endpoint: str = ""
    """The SageMaker endpoint that scores; empty where the version does so itself."""

    @property
    def deployed(self) -> str:
        """Names everything that runs: the code, and what it leaves the scoring to."""
        return f"{self.code} {self.endpoint}".rstrip()


def code_of(configuration: Mapping[str, Any]) -> str:
    """Name a function's code, what it runs on and what a deployment set: 16 hex digits.

    Of its configuration as Lambda gives it; what a rollout sets for one model is no part of it.
    """
    variables = configuration.get("Environment", {}).get("Variables", {})
    about = [configuration.get(name) for name in ("CodeSha256", "Runtime", "MemorySize", "Timeout")]
    about += [variables.get(PredictSettings.variable(name), "") for name in DEPLOYED]
    return hashlib.sha256(" ".join(map(str, about)).encode()).hexdigest()[:16]


def newest(
    service: "Service", plan: EndpointPlan | None, version: int, sha256: str, deployed: Mapping[str, str] | None = None
) -> str:
    """What a rollout of a version would have run by now, named as `Serving.deployed` is.

    Args:
        service: the predict function.
        plan: of the model's endpoints; None where the function scores.
        version: of the model package.
        sha256: of its file.
        deployed: as `Service.code` takes it.
    """
    return f"{service.code(deployed)} {plan.name(version, sha256) if plan else ''}".rstrip()


class Service:
    """One model's predict function."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._client: Any = boto3.client("lambda")

    def live(self) -> Serving:
        """What the alias points at now."""
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        found = self._client.get_function_configuration(FunctionName=f"{self._function}:{alias['FunctionVersion']}")
        variables = found.get("Environment", {}).get("Variables", {})
        version = variables.get(PredictSettings.variable("version"))
        return Serving(
            lambda_version=str(alias["FunctionVersion"]),
            version=int(version) if version else None,
            sha256=variables.get(PredictSettings.variable("model_sha256"), ""),
            code=code_of(found),
            shared=_weights(alias),
            endpoint=variables.get(PredictSettings.variable("endpoint"), ""),
        )

    def endpoints(self) -> set[str]:
        """Names of the SageMaker endpoints by which the versions that the alias refers to answer."""
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        found = set()
        for version in (alias["FunctionVersion"], *_weights(alias)):
            about = self._client.get_function_configuration(FunctionName=f"{self._function}:{version}")
            found.add(about.get("Environment", {}).get("Variables", {}).get(PredictSettings.variable("endpoint"), ""))
        return found - {""}

    def code(self, deployed: Mapping[str, str] | None = None) -> str:
        """What a rollout would publish now, named as `Serving.code` is.

        Args:
            deployed: the settings `DEPLOYED` that it would bind; None for those that the function has by now.
        """
        found = self._client.get_function_configuration(FunctionName=self._function)
        variables = dict(found.get("Environment", {}).get("Variables", {}))
        variables |= {PredictSettings.variable(name): value for name, value in (deployed or {}).items()}
        return code_of({**found, "Environment": {"Variables": variables}})

    def code_of_version(self, lambda_version: str) -> str | None:
        """What a published version runs, named as `Serving.code` is; None where Lambda does not say."""
        try:
            return code_of(self._client.get_function_configuration(FunctionName=f"{self._function}:{lambda_version}"))
        except (BotoCoreError, ClientError):
            return None

    def published(self) -> list[int]:
        """The numbers of all published versions."""
        pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self._function)
        names = [item["Version"] for page in pages for item in page["Versions"]]
        return [int(name) for name in names if name != "$LATEST"]

    def prune(self, before: Collection[int], keep: int) -> list[int]:
        """Delete published versions by the rule of `penstock.release.pruning`; their numbers.

        Args:
            before: versions to spare, beside those that the alias refers to.
            keep: how many of the newest stay.
        """
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        serving = {int(alias["FunctionVersion"]), *map(int, _weights(alias)), *before}
        gone = superfluous(self.published(), serving, keep)
        for number in gone:
            self._client.delete_function(FunctionName=f"{self._function}:{number}")
        return gone


def _weights(alias: Mapping[str, Any]) -> dict[str, float]:
    return dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})
