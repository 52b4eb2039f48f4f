"""The feature store's runtime API, `sagemaker-featurestore-runtime`: write and read records over REST.

It shares SageMaker's signing name, so its requests are recognised by their path. The online store keeps the newest
record of an entity by event time, the offline store every record.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_evaluator

from penstock.local.host.cloud import REGION
from penstock.local.sagemaker.core.caller import Caller, now
from penstock.local.sagemaker.core.record_store import Record
from penstock.local.sagemaker.features.groups import FeatureGroups
from penstock.local.sagemaker.features.records import FeatureRecords
from penstock.local.sagemaker.protocol import request_validation as validation
from penstock.local.sagemaker.protocol.api_model import operation_model
from penstock.local.sagemaker.protocol.errors import SageMakerError

SERVICE = "sagemaker-featurestore-runtime"
BATCH, GROUP = "/BatchGetRecord", "/FeatureGroup/"
ONLINE, OFFLINE = "OnlineStore", "OfflineStore"
_BY_METHOD = {"PUT": "PutRecord", "GET": "GetRecord", "DELETE": "DeleteRecord"}
_LISTS = {"FeatureName": "FeatureNames", "TargetStores": "TargetStores"}


def operation_of(method: str, path: str) -> str | None:
    """Return the operation of a request without `X-Amz-Target`; None if it is not one of this API's."""
    if path == BATCH and method == "POST":
        return "BatchGetRecord"
    return _BY_METHOD.get(method) if path.startswith(GROUP) else None


def request_of(path: str, query: dict[str, list[str]], body: Record) -> Record:
    """Collect a request's members from path, query and body."""
    members = {_LISTS.get(name, name): values if name in _LISTS else values[0] for name, values in query.items()}
    if path.startswith(GROUP):
        members["FeatureGroupName"] = unquote(path.removeprefix(GROUP))
    return {**body, **members}


class FeatureRuntime:
    """The operations on records."""

    def __init__(self, groups: FeatureGroups, records: FeatureRecords) -> None:
        self._groups = groups
        self._records = records
        self.operations: dict[str, Callable[[Record, Caller], Record]] = {
            "PutRecord": self.put_record,
            "GetRecord": self.get_record,
            "BatchGetRecord": self.batch_get_record,
            "DeleteRecord": self.delete_record,
        }

    def call(self, name: str, request: Record, caller: Caller) -> Record:
        """Call an operation.

        Raises:
            SageMakerError: the request is refused, with AWS's code for why.
        """
        model = operation_model(name, SERVICE)
        if model is None or name not in self.operations:
            available = ", ".join(sorted(self.operations))
            raise _invalid(f"{name} is not available on the laptop cloud. It has: {available}.")
        try:
            validation.check(request, model.input_shape)
            return self.operations[name](request, caller)
        except SageMakerError as error:
            code = {"ValidationException": "ValidationError"}.get(error.code, error.code)
            status = 404 if code == "ResourceNotFound" else error.status
            raise SageMakerError(code, error.message, status) from None

    def put_record(self, request: Record, _: Caller) -> Record:
        """Store a record: online if it is the newest of its entity, offline always."""
        group = self._groups.find(request["FeatureGroupName"])
        values = _check_values(group, request["Record"])
        entity, time = values[group["RecordIdentifierFeatureName"]], _seconds(values[group["EventTimeFeatureName"]])
        stores = _stores(group, request)
        if ONLINE in stores:
            self._records.put(group["FeatureGroupName"], entity, time, values)
        if OFFLINE in stores:
            self._append(group, values, deleted=False)
        return {}

    def get_record(self, request: Record, _: Caller) -> Record:
        """Return the newest record of an entity; an empty response where there is none."""
        record = self._read(request["FeatureGroupName"], request["RecordIdentifierValueAsString"], request)
        return {"Record": record} if record else {}

    def batch_get_record(self, request: Record, caller: Caller) -> Record:
        """Return the newest records of several entities, leaving out those that do not exist."""
        response: Record = {"Records": [], "Errors": [], "UnprocessedIdentifiers": []}
        for item in request["Identifiers"]:
            self._authorise(item["FeatureGroupName"], caller)
            for entity in item["RecordIdentifiersValueAsString"]:
                key = {"FeatureGroupName": item["FeatureGroupName"], "RecordIdentifierValueAsString": entity}
                try:
                    record = self._read(item["FeatureGroupName"], entity, item)
                except SageMakerError as error:
                    response["Errors"].append({**key, "ErrorCode": error.code, "ErrorMessage": error.message})
                    continue
                if record:
                    response["Records"].append({**key, "Record": record})
        return response

    def delete_record(self, request: Record, _: Caller) -> Record:
        """Delete an entity's record, unless there is a newer one."""
        group = self._groups.find(request["FeatureGroupName"])
        name, entity = group["FeatureGroupName"], request["RecordIdentifierValueAsString"]
        time, stores = _seconds(request["EventTime"]), _stores(group, request)
        values = {
            group["RecordIdentifierFeatureName"]: entity,
            group["EventTimeFeatureName"]: request["EventTime"],
        }
        if ONLINE in stores and request.get("DeletionMode") == "HardDelete":
            self._records.remove(name, entity, time)
        elif ONLINE in stores:
            self._records.put(name, entity, time, values, deleted=True)
        if OFFLINE in stores:
            self._append(group, values, deleted=True)
        return {}

    def _read(self, name: str, entity: str, request: Record) -> list[dict[str, str]]:
        group = self._groups.find(name)
        if ONLINE not in _stores(group, {}):
            raise _invalid(f"The OnlineStore of FeatureGroup {name} is not enabled.")
        defined = {item["FeatureName"] for item in group["FeatureDefinitions"]}
        names = request.get("FeatureNames") or defined
        if unknown := set(names) - defined:
            raise _invalid(f"FeatureGroup {name} has no feature {min(unknown)}.")
        values = self._records.get(group["FeatureGroupName"], entity) or {}
        return [{"FeatureName": key, "ValueAsString": value} for key, value in values.items() if key in names]

    def _append(self, group: Record, values: Record, *, deleted: bool) -> None:
        self._records.append(
            group["FeatureGroupName"], {"values": values, "api_invocation_time": now(), "is_deleted": deleted}
        )

    def _authorise(self, name: str, caller: Caller) -> None:
        """Check the caller's permission for a group of a batch; MiniStack checks the first one only."""
        arn = str(self._groups.find(name)["FeatureGroupArn"])
        action = "sagemaker:BatchGetRecord"
        if iam_evaluator.enforce(caller.access_key, action, "sagemaker", REGION, resource_arn=arn) is not None:
            message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {arn}"
            raise SageMakerError("AccessForbidden", message, 403)


def _stores(group: Record, request: Record) -> list[str]:
    """Return the stores for a record: those that the request names, by default all of the group."""
    enabled = [ONLINE] if group.get("OnlineStoreConfig", {}).get("EnableOnlineStore") else []
    enabled += [OFFLINE] if "OfflineStoreConfig" in group else []
    stores = request.get("TargetStores") or enabled
    if disabled := [store for store in stores if store not in enabled]:
        raise _invalid(f"The {disabled[0]} of FeatureGroup {group['FeatureGroupName']} is not enabled.")
    return list(stores)


def _check_values(group: Record, record: list[dict[str, Any]]) -> dict[str, str]:
    """Return a record's values, after checking each against its feature's type."""
    kinds = {item["FeatureName"]: item["FeatureType"] for item in group["FeatureDefinitions"]}
    values: dict[str, str] = {}
    for item in record:
        name, value = item["FeatureName"], item.get("ValueAsString")
        if name not in kinds:
            raise _invalid(f"Feature {name} is not defined in FeatureGroup {group['FeatureGroupName']}.")
        if name in values:
            raise _invalid(f"Feature {name} is in the record twice.")
        if value is None:
            continue
        if not _has_type(value, kinds[name]):
            raise _invalid(f"Failed to parse {value!r} of feature {name} as {kinds[name]}.")
        values[name] = value
    for needed in (group["RecordIdentifierFeatureName"], group["EventTimeFeatureName"]):
        if not values.get(needed):
            raise _invalid(f"Feature {needed} is missing in the record.")
    return values


def _has_type(value: str, kind: str) -> bool:
    try:
        number = int(value) if kind == "Integral" else float(value) if kind == "Fractional" else 0
    except ValueError:
        return False
    return kind != "Integral" or -(2**63) <= number < 2**63


def _seconds(event_time: str) -> float:
    """Parse an event time: seconds since 1970, or ISO 8601 in UTC, to the second or millisecond."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(event_time, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    try:
        return float(event_time)
    except ValueError:
        raise _invalid(f"Failed to parse {event_time!r} as an EventTime.") from None


def _invalid(message: str) -> SageMakerError:
    return SageMakerError("ValidationError", f"Validation Error: {message}")
