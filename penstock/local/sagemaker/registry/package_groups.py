"""Model package groups and their resource policies."""

import json
from typing import Any

from penstock.local.sagemaker.core.caller import Caller, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import conflict, validation
from penstock.local.sagemaker.protocol.paging import page


class PackageGroups:
    """The operations on model package groups."""

    def __init__(self, store: Store, tags: Tags) -> None:
        self._store = store
        self._tags = tags

    def find(self, name_or_arn: str) -> Record:
        """Return a group by its name or ARN.

        Raises:
            SageMakerError: there is no such group.
        """
        record = self._store.groups.get(name_or_arn.rsplit("/", 1)[-1])
        if record is None:
            group_arn = name_or_arn if name_or_arn.startswith("arn:") else arn(f"model-package-group/{name_or_arn}")
            raise validation(f"ModelPackageGroup {group_arn} does not exist.")
        return record

    def create_model_package_group(self, request: Record, caller: Caller) -> Record:
        """Create a group."""
        name = request["ModelPackageGroupName"]
        group_arn = arn(f"model-package-group/{name}")
        if name in self._store.groups:
            raise validation(f"Model Package Group already exists: {group_arn}")
        self._store.groups[name] = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "ModelPackageGroupArn": group_arn,
            "CreationTime": now(),
            "CreatedBy": caller.iam_identity(),
            "ModelPackageGroupStatus": "Completed",
        }
        self._tags.set_at_creation(group_arn, request)
        return {"ModelPackageGroupArn": group_arn}

    def describe_model_package_group(self, request: Record, _: Caller) -> Record:
        """Describe a group."""
        return project(self.find(request["ModelPackageGroupName"]), output_shape("DescribeModelPackageGroup"))

    def list_model_package_groups(self, request: Record, _: Caller) -> Record:
        """List groups."""
        return page(
            "ListModelPackageGroups",
            request,
            list(self._store.groups.values()),
            name="ModelPackageGroupName",
            member="ModelPackageGroupSummaryList",
        )

    def delete_model_package_group(self, request: Record, _: Caller) -> Record:
        """Delete a group that holds no packages."""
        record = self.find(request["ModelPackageGroupName"])
        name = record["ModelPackageGroupName"]
        if any(package.get("ModelPackageGroupName") == name for package in self._store.packages.values()):
            raise conflict(f"Model Package Group {name} still contains model packages. Delete them first.")
        del self._store.groups[name]
        for table in (self._store.tags, self._store.policies):
            table.pop(record["ModelPackageGroupArn"], None)
        self._store.versions.pop(name, None)
        return {}

    def put_model_package_group_policy(self, request: Record, _: Caller) -> Record:
        """Set the resource policy of a group; it must be JSON."""
        record = self.find(request["ModelPackageGroupName"])
        try:
            json.loads(request["ResourcePolicy"])
        except ValueError as error:
            raise validation(f"Invalid resource policy: it is not JSON ({error}).") from None
        self._store.policies[record["ModelPackageGroupArn"]] = request["ResourcePolicy"]
        return {"ModelPackageGroupArn": record["ModelPackageGroupArn"]}

    def get_model_package_group_policy(self, request: Record, _: Caller) -> Record:
        """Return the resource policy of a group."""
        record = self.find(request["ModelPackageGroupName"])
        return {"ResourcePolicy": self._policy(record)}

    def delete_model_package_group_policy(self, request: Record, _: Caller) -> Record:
        """Remove the resource policy of a group."""
        record = self.find(request["ModelPackageGroupName"])
        self._policy(record)
        del self._store.policies[record["ModelPackageGroupArn"]]
        return {}

    def _policy(self, record: Record) -> str:
        policy: Any = self._store.policies.get(record["ModelPackageGroupArn"])
        if policy is None:
            raise validation(f"Cannot find resource policy for: {record['ModelPackageGroupArn']}")
        return str(policy)
