"""`AWS::SageMaker::ModelPackageGroup` for MiniStack's CloudFormation."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.services.cloudformation import provisioners

from penstock.local.sagemaker.core.caller import Caller
from penstock.local.sagemaker.integration.service import SageMaker

Properties = dict[str, Any]
_TYPE = "AWS::SageMaker::ModelPackageGroup"


class ModelPackageGroupType:
    """Create, update and delete for the resource type; its physical id, the value of Ref, is the ARN."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self._sagemaker = sagemaker

    def create(self, logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        """Create the group."""
        request = {
            "ModelPackageGroupName": properties.get("ModelPackageGroupName") or f"{stack}-{logical_id}"[:63],
            "ModelPackageGroupDescription": properties.get("ModelPackageGroupDescription"),
            "Tags": properties.get("Tags"),
        }
        answer = self._call("CreateModelPackageGroup", {k: v for k, v in request.items() if v is not None})
        group = str(answer["ModelPackageGroupArn"])
        self._put_policy(group, properties)
        return group, self._attributes(group)

    def update(self, group: str, old: Properties, new: Properties, stack: str) -> tuple[str, Properties]:  # noqa: ARG002
        """Change tags and policy; a new name or description replaces the group before this call."""
        new_tags = {tag["Key"]: tag["Value"] for tag in new.get("Tags", [])}
        removed_keys = [tag["Key"] for tag in old.get("Tags", []) if tag["Key"] not in new_tags]
        if removed_keys:
            self._call("DeleteTags", {"ResourceArn": group, "TagKeys": removed_keys})
        if new_tags:
            tags = [{"Key": key, "Value": value} for key, value in new_tags.items()]
            self._call("AddTags", {"ResourceArn": group, "Tags": tags})
        if old.get("ModelPackageGroupPolicy") and not new.get("ModelPackageGroupPolicy"):
            self._call("DeleteModelPackageGroupPolicy", {"ModelPackageGroupName": _name(group)})
        self._put_policy(group, new)
        return group, self._attributes(group)

    def delete(self, group: str, _properties: Properties) -> None:
        """Delete the group; as on AWS, one that contains packages is refused."""
        if _name(group) in self._sagemaker.store.groups:
            self._call("DeleteModelPackageGroup", {"ModelPackageGroupName": _name(group)})

    def _put_policy(self, group: str, properties: Properties) -> None:
        policy = properties.get("ModelPackageGroupPolicy")
        if policy:
            text = policy if isinstance(policy, str) else json.dumps(policy)
            request = {"ModelPackageGroupName": _name(group), "ResourcePolicy": text}
            self._call("PutModelPackageGroupPolicy", request)

    def _attributes(self, group: str) -> Properties:
        description = self._call("DescribeModelPackageGroup", {"ModelPackageGroupName": _name(group)})
        members = ("ModelPackageGroupArn", "ModelPackageGroupStatus", "CreationTime")
        return {name: str(description[name]) for name in members}

    def _call(self, operation: str, request: Properties) -> Properties:
        return self._sagemaker.call(operation, request, Caller(caller_arn(), "", ""))


def install(sagemaker: SageMaker) -> None:
    """Register the type in MiniStack."""
    group = ModelPackageGroupType(sagemaker)
    handlers = {"create": group.create, "update": group.update, "delete": group.delete}
    provisioners._RESOURCE_HANDLERS[_TYPE] = handlers
    replacing = ("ModelPackageGroupName", "ModelPackageGroupDescription")
    provisioners._REPLACING_PROPERTIES[_TYPE] = replacing


def _name(group: str) -> str:
    return group.rsplit("/", 1)[-1]
