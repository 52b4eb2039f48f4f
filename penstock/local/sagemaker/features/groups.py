"""Feature groups: their features, and their online and offline stores."""

import copy
from urllib.parse import urlsplit

from ministack.core.responses import get_account_id, get_region

from penstock.local.sagemaker.container.roles import check_pass_role
from penstock.local.sagemaker.core.caller import Caller, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.features.records import FeatureRecords
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import SageMakerError, in_use, not_found, validation
from penstock.local.sagemaker.protocol.paging import page

RESERVED = {"is_deleted", "write_time", "api_invocation_time"}
_MAX_FEATURES = 2500


class FeatureGroups:
    """The operations on feature groups."""

    def __init__(self, store: Store, tags: Tags, records: FeatureRecords) -> None:
        self._store = store
        self._tags = tags
        self._records = records

    def find(self, name_or_arn: str) -> Record:
        """Return a group by its name or ARN.

        Raises:
            SageMakerError: there is no such group.
        """
        record = self._store.feature_groups.get(name_or_arn.rsplit("/", 1)[-1])
        if record is None:
            raise not_found(f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name_or_arn}")
        return record

    def create_feature_group(self, request: Record, caller: Caller) -> Record:
        """Create a group, ready at once."""
        name = request["FeatureGroupName"]
        if name in self._store.feature_groups:
            raise in_use(f"Resource Already Exists: FeatureGroup with name {name} already exists.")
        _check(request)
        record = {key: copy.deepcopy(value) for key, value in request.items() if key != "Tags"}
        record |= {
            "FeatureGroupArn": arn(f"feature-group/{name}"),
            "CreationTime": now(),
            "FeatureGroupStatus": "Created",
        }
        record.setdefault("ThroughputConfig", {"ThroughputMode": "OnDemand"})
        if "OfflineStoreConfig" in record:
            if "RoleArn" not in record:
                raise validation("RoleArn is required for a FeatureGroup with an OfflineStore.")
            record["OfflineStoreStatus"] = {"Status": "Active"}
            _resolve(record)
        if "RoleArn" in record and caller.access_key:  # calls from CloudFormation have no access key
            check_pass_role(caller, record["RoleArn"])
        self._store.feature_groups[name] = record
        self._tags.set_at_creation(record["FeatureGroupArn"], request)
        return {"FeatureGroupArn": record["FeatureGroupArn"]}

    def describe_feature_group(self, request: Record, _: Caller) -> Record:
        """Describe a group, with all feature definitions in one page."""
        return project(self.find(request["FeatureGroupName"]), output_shape("DescribeFeatureGroup"))

    def list_feature_groups(self, request: Record, _: Caller) -> Record:
        """List groups."""
        records = [
            record
            for record in self._store.feature_groups.values()
            if request.get("FeatureGroupStatusEquals") in (None, record["FeatureGroupStatus"])
            and request.get("OfflineStoreStatusEquals") in (None, record.get("OfflineStoreStatus", {}).get("Status"))
        ]
        return page("ListFeatureGroups", request, records, name="FeatureGroupName", member="FeatureGroupSummaries")

    def update_feature_group(self, request: Record, _: Caller) -> Record:
        """Add features, or change throughput and the online store's settings."""
        record = self.find(request["FeatureGroupName"])
        definitions = record["FeatureDefinitions"] + copy.deepcopy(request.get("FeatureAdditions", []))
        _check({**record, "FeatureDefinitions": definitions})
        record["FeatureDefinitions"] = definitions
        if "ThroughputConfig" in request:
            record["ThroughputConfig"] = copy.deepcopy(request["ThroughputConfig"])
        if "OnlineStoreConfig" in request:
            record["OnlineStoreConfig"] = {**record.get("OnlineStoreConfig", {}), **request["OnlineStoreConfig"]}
        record |= {"LastModifiedTime": now(), "LastUpdateStatus": {"Status": "Successful"}}
        return {"FeatureGroupArn": record["FeatureGroupArn"]}

    def delete_feature_group(self, request: Record, _: Caller) -> Record:
        """Delete a group and its online records; its files in S3 stay."""
        record = self.find(request["FeatureGroupName"])
        del self._store.feature_groups[record["FeatureGroupName"]]
        self._store.tags.pop(record["FeatureGroupArn"], None)
        self._records.drop(record["FeatureGroupName"])
        return {}


def _check(request: Record) -> None:
    """Check what AWS's model of the request cannot."""
    names = [item["FeatureName"] for item in request["FeatureDefinitions"]]
    kinds = {item["FeatureName"]: item.get("FeatureType") for item in request["FeatureDefinitions"]}
    for problem in _problems(request, names, kinds):
        raise problem


def _problems(request: Record, names: list[str], kinds: Record) -> list[SageMakerError]:
    entity, time = request["RecordIdentifierFeatureName"], request["EventTimeFeatureName"]
    sentences = []
    if repeated := [name for name in kinds if names.count(name) > 1]:
        sentences.append(f"Feature names must be unique: {repeated[0]}.")
    if len(names) > _MAX_FEATURES:
        sentences.append(f"A FeatureGroup has at most {_MAX_FEATURES} FeatureDefinitions.")
    if reserved := RESERVED & {name.lower() for name in names}:
        sentences.append(f"FeatureName {min(reserved)} is reserved.")
    if missing := [name for name in (entity, time) if name not in kinds]:
        sentences.append(f"{missing[0]} is not among the FeatureDefinitions.")
    elif kinds[time] not in ("Fractional", "String"):
        sentences.append(f"EventTime feature {time} must be of type Fractional or String.")
    if untyped := [name for name, kind in kinds.items() if kind is None]:
        sentences.append(f"FeatureType of {untyped[0]} is missing.")
    if not request.get("OnlineStoreConfig", {}).get("EnableOnlineStore") and "OfflineStoreConfig" not in request:
        sentences.append("At least one of OnlineStore and OfflineStore must be configured.")
    return [validation(f"Validation Error: {sentence}") for sentence in sentences]


def _resolve(record: Record) -> None:
    """Set the prefix of the offline store's files, as SageMaker does."""
    storage = record["OfflineStoreConfig"]["S3StorageConfig"]
    place = urlsplit(storage["S3Uri"])
    base = f"{place.scheme}://{place.netloc}{place.path.rstrip('/')}"
    folder = f"{record['FeatureGroupName']}-{int(record['CreationTime'])}"
    storage["ResolvedOutputS3Uri"] = f"{base}/{get_account_id()}/sagemaker/{get_region()}/offline-store/{folder}/data"
