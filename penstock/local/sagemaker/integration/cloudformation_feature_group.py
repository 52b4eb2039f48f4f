"""`AWS::SageMaker::FeatureGroup` for MiniStack's CloudFormation."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from typing import Any

from ministack.core.iam_evaluator import caller_arn
from ministack.services.cloudformation import provisioners

from penstock.local.sagemaker.core.caller import Caller
from penstock.local.sagemaker.integration.service import SageMaker

Properties = dict[str, Any]
_TYPE = "AWS::SageMaker::FeatureGroup"
_REPLACING = (
    "FeatureGroupName", "RecordIdentifierFeatureName", "EventTimeFeatureName", "OfflineStoreConfig", "RoleArn",
    "Description",
)  # fmt: skip
_MEMBERS = (*_REPLACING, "FeatureDefinitions", "OnlineStoreConfig", "ThroughputConfig", "Tags")
_FLAGS = {"EnableOnlineStore", "DisableGlueTableCreation"}


class FeatureGroupType:
    """Create, update and delete for the resource type; its physical id, the value of Ref, is the name."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self._sagemaker = sagemaker

    def create(self, _logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
        """Create the group."""
        request = {name: _convert_flags(properties[name]) for name in _MEMBERS if properties.get(name) is not None}
        self._call("CreateFeatureGroup", request)
        name = str(properties["FeatureGroupName"])
        return name, self._attributes(name)

    def update(self, name: str, old: Properties, new: Properties, stack: str) -> tuple[str, Properties]:
        """Add features and change the throughput; for other changes, replace the group by one of another name."""
        if any(old.get(member) != new.get(member) for member in _REPLACING):
            created = self.create("", new, stack)
            provisioners._delete_predecessor(self.delete, name, old)
            return created
        previous = [item["FeatureName"] for item in old["FeatureDefinitions"]]
        added = [item for item in new["FeatureDefinitions"] if item["FeatureName"] not in previous]
        request: Properties = {"FeatureGroupName": name}
        if added:
            request["FeatureAdditions"] = added
        if old.get("ThroughputConfig") != new.get("ThroughputConfig"):
            request["ThroughputConfig"] = new["ThroughputConfig"]
        self._call("UpdateFeatureGroup", request)
        self._update_tags(name, old, new)
        return name, self._attributes(name)

    def delete(self, name: str, _properties: Properties) -> None:
        """Delete the group; its files in S3 stay."""
        if name in self._sagemaker.store.feature_groups:
            self._call("DeleteFeatureGroup", {"FeatureGroupName": name})

    def _update_tags(self, name: str, old: Properties, new: Properties) -> None:
        arn = self._sagemaker.store.feature_groups[name]["FeatureGroupArn"]
        new_keys = {tag["Key"] for tag in new.get("Tags", [])}
        if removed_keys := [tag["Key"] for tag in old.get("Tags", []) if tag["Key"] not in new_keys]:
            self._call("DeleteTags", {"ResourceArn": arn, "TagKeys": removed_keys})
        if new_keys:
            self._call("AddTags", {"ResourceArn": arn, "Tags": new["Tags"]})

    def _attributes(self, name: str) -> Properties:
        description = self._call("DescribeFeatureGroup", {"FeatureGroupName": name})
        return {member: str(description[member]) for member in ("CreationTime", "FeatureGroupStatus")}

    def _call(self, operation: str, request: Properties) -> Properties:
        return self._sagemaker.call(operation, request, Caller(caller_arn(), "", ""))


def install(sagemaker: SageMaker) -> None:
    """Register the type in MiniStack."""
    group = FeatureGroupType(sagemaker)
    handlers = {"create": group.create, "update": group.update, "delete": group.delete}
    provisioners._RESOURCE_HANDLERS[_TYPE] = handlers
    provisioners._REPLACING_PROPERTIES[_TYPE] = _REPLACING


def _convert_flags(value: Any) -> Any:
    """Convert a property for the API, as templates may have a boolean as text."""
    if isinstance(value, dict):
        return {
            name: item == "true" if name in _FLAGS and isinstance(item, str) else _convert_flags(item)
            for name, item in value.items()
        }
    return [_convert_flags(item) for item in value] if isinstance(value, list) else value
