"""The predict function as Lambda reports it, which may differ from the ledger's records."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from penstock.predict_settings import DEPLOYED, PredictSettings
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.pruning import superfluous_versions

LIVE = "live"
"""The alias that callers use."""


@dataclass(frozen=True)
class Serving:
    """The published version that the alias points at, with its code, model and endpoint."""

    lambda_version: str
    version: int | None
    """The model package version that it binds; None for the version that CloudFormation made, which has no model."""
    sha256: str
    code: str = ""
    """Fingerprint of what runs beside the model (`code_of`)."""
    shares: dict[str, float] = field(default_factory=dict)
    """Traffic of other published versions while a rollout is under way: version → share."""
    endpoint: str = ""
    """The SageMaker endpoint that scores; empty where the version does so itself."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of everything that runs: the code, and the endpoint that scores."""
        return f"{self.code} {self.endpoint}".rstrip()


def code_of(configuration: Mapping[str, Any]) -> str:
    """Compute the fingerprint of a function's code, runtime and deployed settings: 16 hex digits.

    Args:
        configuration: as Lambda gives it; what a rollout sets for one model does not count.
    """
    variables = configuration.get("Environment", {}).get("Variables", {})
    about = [configuration.get(name) for name in ("CodeSha256", "Runtime", "MemorySize", "Timeout")]
    about += [variables.get(PredictSettings.variable(name), "") for name in DEPLOYED]
    return hashlib.sha256(" ".join(map(str, about)).encode()).hexdigest()[:16]


def newest_fingerprint(
    service: "Service", plan: EndpointPlan | None, version: int, sha256: str, settings: Mapping[str, str] | None = None
) -> str:
    """Compute the `Serving.fingerprint` that a version would have if it were rolled out now.

    Args:
        service: the predict function.
        plan: of the model's endpoints; None where the function scores.
        version: of the model package.
        sha256: of its file.
        settings: as `Service.code` takes them.
    """
    return f"{service.code(settings)} {plan.name(version, sha256) if plan else ''}".rstrip()


class Service:
    """One model's predict function."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._client: Any = boto3.client("lambda")

    def live(self) -> Serving:
        """Read the version that the alias points at now."""
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        version_name = f"{self._function}:{alias['FunctionVersion']}"
        configuration = self._client.get_function_configuration(FunctionName=version_name)
        variables = configuration.get("Environment", {}).get("Variables", {})
        version = variables.get(PredictSettings.variable("version"))
        return Serving(
            lambda_version=str(alias["FunctionVersion"]),
            version=int(version) if version else None,
            sha256=variables.get(PredictSettings.variable("model_sha256"), ""),
            code=code_of(configuration),
            shares=_weights(alias),
            endpoint=variables.get(PredictSettings.variable("endpoint"), ""),
        )

    def endpoints(self) -> set[str]:
        """List the SageMaker endpoints of the versions that the alias refers to."""
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        names = set()
        for version in (alias["FunctionVersion"], *_weights(alias)):
            about = self._client.get_function_configuration(FunctionName=f"{self._function}:{version}")
            names.add(about.get("Environment", {}).get("Variables", {}).get(PredictSettings.variable("endpoint"), ""))
        return names - {""}

    def code(self, settings: Mapping[str, str] | None = None) -> str:
        """Compute the `Serving.code` that a rollout would publish now.

        Args:
            settings: the settings `DEPLOYED` that it would bind; None for those that the function has now.
        """
        configuration = self._client.get_function_configuration(FunctionName=self._function)
        variables = dict(configuration.get("Environment", {}).get("Variables", {}))
        variables |= {PredictSettings.variable(name): value for name, value in (settings or {}).items()}
        return code_of({**configuration, "Environment": {"Variables": variables}})

    def code_of_version(self, lambda_version: str) -> str | None:
        """Compute the `Serving.code` of a published version; None where Lambda does not answer."""
        try:
            return code_of(self._client.get_function_configuration(FunctionName=f"{self._function}:{lambda_version}"))
        except (BotoCoreError, ClientError):
            return None

    def published(self) -> list[int]:
        """List the numbers of all published versions."""
        pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self._function)
        names = [item["Version"] for page in pages for item in page["Versions"]]
        return [int(name) for name in names if name != "$LATEST"]

    def prune(self, before: Collection[int], keep: int) -> list[int]:
        """Delete published versions by the rule of `penstock.release.pruning`; return the deleted numbers.

        Args:
            before: versions to keep, beside those that the alias refers to.
            keep: how many of the newest stay.
        """
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        serving = {int(alias["FunctionVersion"]), *map(int, _weights(alias)), *before}
        numbers = superfluous_versions(self.published(), serving, keep)
        for number in numbers:
            self._client.delete_function(FunctionName=f"{self._function}:{number}")
        return numbers


def _weights(alias: Mapping[str, Any]) -> dict[str, float]:
    return dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})
