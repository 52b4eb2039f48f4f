"""What really serves: asked of Lambda, not of our own records."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import boto3

from penstock.pruning import superfluous
from penstock.settings import PredictSettings

LIVE = "live"
"""The alias that takes the traffic."""


@dataclass(frozen=True)
class Serving:
    """The published version that the alias points at."""

    lambda_version: str
    version: int | None
    """The model package version that it binds; None for the version that CloudFormation made, which has no model."""
    sha256: str
    shared: dict[str, float] = field(default_factory=dict)
    """Published versions that take a share of the traffic beside it, while a rollout is under way: version → share."""


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
            shared=dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}),
        )

    def published(self) -> list[int]:
        """The numbers of all published versions."""
        pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self._function)
        names = [item["Version"] for page in pages for item in page["Versions"]]
        return [int(name) for name in names if name != "$LATEST"]

    def prune(self, before: Collection[int], keep: int) -> list[int]:
        """Delete published versions by the rule of `penstock.pruning`; their numbers.

        Args:
            before: versions to spare, beside those that the alias refers to.
            keep: how many of the newest stay.
        """
        alias = self._client.get_alias(FunctionName=self._function, Name=LIVE)
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        serving = {int(alias["FunctionVersion"]), *map(int, weights), *before}
        gone = superfluous(self.published(), serving, keep)
        for number in gone:
            self._client.delete_function(FunctionName=f"{self._function}:{number}")
        return gone
