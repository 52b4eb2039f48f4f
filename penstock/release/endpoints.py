"""A model's SageMaker endpoints: list them, and delete the unused ones.

Rollouts make them, so no stack knows them. `penstock.release.pruning` decides which are deleted.
"""

import re
from collections.abc import Collection
from typing import Any

import boto3
from botocore.exceptions import ClientError

from penstock.release import endpoint_plan
from penstock.release.endpoint_plan import DIMENSION, VARIANT
from penstock.release.pruning import idle_endpoints

_MISSING = re.compile(r"could not find|not found|does not exist|no scalable target", re.IGNORECASE)


class EndpointsError(Exception):
    """Endpoints that could not be deleted; the message names them and says why."""


class Endpoints:
    """The endpoints of one model in one stage."""

    def __init__(self, stage: str, model: str) -> None:
        self._prefix = endpoint_plan.prefix(stage, model)
        self._client: Any = boto3.client("sagemaker")
        self._scaling: Any = boto3.client("application-autoscaling")

    def names(self) -> list[str]:
        """List the names of all endpoints, without those that are being deleted."""
        pages = self._client.get_paginator("list_endpoints").paginate(NameContains=self._prefix)
        existing = [item for page in pages for item in page["Endpoints"] if item["EndpointStatus"] != "Deleting"]
        names = [str(item["EndpointName"]) for item in existing]
        return sorted(name for name in names if name.startswith(self._prefix))

    def status(self, name: str) -> str:
        """Read an endpoint's status: `Creating`, `InService`, …; `gone` where there is none of that name."""
        try:
            return str(self._client.describe_endpoint(EndpointName=name)["EndpointStatus"])
        except ClientError as error:
            if _is_missing(error):
                return "gone"
            raise

    def sweep(self, serving: Collection[str]) -> list[str]:
        """Delete every endpoint but these, with its configuration, model and scaling; return the deleted names.

        Raises:
            EndpointsError: naming those that are left, each with SageMaker's reason; all others are deleted.
        """
        names, failures = idle_endpoints(self.names(), serving), []
        for name in names:
            try:
                self._delete(name)
            except ClientError as error:
                failures.append(f"{name}: {error}")
        if failures:
            raise EndpointsError("; ".join(failures))
        return names

    def _delete(self, name: str) -> None:
        about = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
        resource = f"endpoint/{name}/variant/{VARIANT}"
        # The endpoint first: it is what bills, and while it is being created the others must stay.
        _ignore_missing(lambda: self._client.delete_endpoint(EndpointName=name))
        _ignore_missing(lambda: self._scaling.deregister_scalable_target(ResourceId=resource, **about))
        _ignore_missing(lambda: self._client.delete_endpoint_config(EndpointConfigName=name))
        _ignore_missing(lambda: self._client.delete_model(ModelName=name))


def _ignore_missing(call: Any) -> None:
    try:
        call()
    except ClientError as error:
        if not _is_missing(error):
            raise


def _is_missing(error: ClientError) -> bool:
    about = error.response["Error"]
    return about["Code"] in {"ObjectNotFoundException", "ResourceNotFound"} or bool(_MISSING.search(about["Message"]))
