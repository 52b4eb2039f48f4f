"""Tags of SageMaker resources."""

from typing import Any

from penstock.local.sagemaker.core.caller import Caller
from penstock.local.sagemaker.core.record_store import Store
from penstock.local.sagemaker.protocol.errors import validation

_LIMIT = 50


def as_dict(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return a request's tags as a mapping.

    Raises:
        SageMakerError: two tags have the same key.
    """
    mapping = {tag["Key"]: tag["Value"] for tag in tags}
    if len(mapping) != len(tags):
        raise validation("Tag keys must be unique within a request.")
    return mapping


class Tags:
    """AddTags, ListTags and DeleteTags."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set_at_creation(self, resource: str, request: dict[str, Any]) -> None:
        """Store the tags of a Create request."""
        if request.get("Tags"):
            self._store.tags[resource] = as_dict(request["Tags"])

    def add_tags(self, request: dict[str, Any], _: Caller) -> dict[str, Any]:
        """Add or overwrite tags."""
        tags = {**self._of(request["ResourceArn"]), **as_dict(request["Tags"])}
        if len(tags) > _LIMIT:
            raise validation(f"A resource cannot have more than {_LIMIT} tags.")
        self._store.tags[request["ResourceArn"]] = tags
        return {"Tags": _as_list(tags)}

    def list_tags(self, request: dict[str, Any], _: Caller) -> dict[str, Any]:
        """Return all tags in one page; a resource has at most 50, which is AWS's smallest page."""
        return {"Tags": _as_list(self._of(request["ResourceArn"]))}

    def delete_tags(self, request: dict[str, Any], _: Caller) -> dict[str, Any]:
        """Remove tags; ignore keys that the resource does not have."""
        tags = self._of(request["ResourceArn"])
        self._store.tags[request["ResourceArn"]] = {k: v for k, v in tags.items() if k not in request["TagKeys"]}
        return {}

    def _of(self, resource: str) -> dict[str, str]:
        if not self._exists(resource):
            raise validation(f"The resource {resource} does not exist.")
        return self._store.tags.get(resource, {})

    def _exists(self, resource: str) -> bool:
        store = self._store
        tables = (
            (store.groups, "ModelPackageGroupArn"),
            (store.packages, "ModelPackageArn"),
            (store.training_jobs, "TrainingJobArn"),
            (store.processing_jobs, "ProcessingJobArn"),
            (store.tuning_jobs, "HyperParameterTuningJobArn"),
            (store.feature_groups, "FeatureGroupArn"),
            (store.models, "ModelArn"),
            (store.endpoint_configs, "EndpointConfigArn"),
            (store.endpoints, "EndpointArn"),
        )
        return any(record[member] == resource for table, member in tables for record in table.values())


def _as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
