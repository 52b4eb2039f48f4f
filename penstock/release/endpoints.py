"""A model's SageMaker endpoints: which there are, and the end of those that serve nobody.

Rollouts make them, so no stack knows them. What is deleted here goes by `penstock.release.pruning`.
"""

import re
from collections.abc import Collection
from typing import Any

import boto3
from botocore.exceptions import ClientError

from penstock.release import endpoint_plan
from penstock.release.endpoint_plan import DIMENSION, VARIANT
from penstock.release.pruning import idle

_GONE = re.compile(r"could not find|not found|does not exist|no scalable target", re.IGNORECASE)


class EndpointsError(Exception):
    """Endpoints that could not be deleted; the message names them and says why."""


class Endpoints:
    """Those of one model in one stage."""

    def __init__(self, stage: str, model: str) -> None:
        self._prefix = endpoint_plan.prefix(stage, model)
        self._client: Any = boto3.client("sagemaker")
        self._scaling: Any = boto3.client("application-autoscaling")

    def names(self) -> list[str]:
        """Of all there are, but for those that are being deleted."""
        pages = self._client.get_paginator("list_endpoints").paginate(NameContains=self._prefix)
        found = [item for page in pages for item in page["Endpoints"] if item["EndpointStatus"] != "Deleting"]
        names = [str(item["EndpointName"]) for item in found]
        return sorted(name for name in names if name.startswith(self._prefix))

    def status(self, name: str) -> str:
        """`Creating`, `InService`, …; `gone` where there is none of that name."""
        try:
            return str(self._client.describe_endpoint(EndpointName=name)["EndpointStatus"])
        except ClientError as error:
            if _gone(error):
                return "gone"
            raise

    def sweep(self, serving: Collection[str]) -> list[str]:
        """Delete every endpoint but these, with its configuration, model and scaling; their names.

        Raises:
            EndpointsError: naming those that are still there, each with SageMaker's reason; all others are deleted.
        """
        going, left = idle(self.names(), serving), []
        for name in going:
            try:
                self._delete(name)
            except ClientError as error:
                left.append(f"{name}: {error}")
        if left:
            raise EndpointsError("; ".join(left))
        return going

    def _delete(self, name: str) -> None:
        about = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
        resource = f"endpoint/{name}/variant/{VARIANT}"
        # The endpoint first: it is what bills, and while it is being created the others must stay.
        _unless_gone(lambda: self._client.delete_endpoint(EndpointName=name))
        _unless_gone(lambda: self._scaling.deregister_scalable_target(ResourceId=resource, **about))
        _unless_gone(lambda: self._client.delete_endpoint_config(EndpointConfigName=name))
        _unless_gone(lambda: self._client.delete_model(ModelName=name))


def _unless_gone(call: Any) -> None:
    try:
        call()
    except ClientError as error:
        if not _gone(error):
            raise


def _gone(error: ClientError) -> bool:
    about = error.response["Error"]
    return about["Code"] in {"ObjectNotFoundException", "ResourceNotFound"} or bool(_GONE.search(about["Message"]))
