"""The feature store's runtime, `sagemaker-featurestore-runtime`: records in and out, over REST.

It shares SageMaker's signing name; a request is its by its path. The online store keeps the newest record of an
entity by event time, the offline store every record.
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
    """The operation that a request without `X-Amz-Target` asks for; None where it is none of the runtime's."""
    if path == BATCH and method == "POST":
        return "BatchGetRecord"
    return _BY_METHOD.get(method) if path.startswith(GROUP) else None


def request_of(path: str, query: dict[str, list[str]], body: Record) -> Record:
    """A request's members, wherever the protocol puts them."""
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
        """Do one operation.

        Raises:
            SageMakerError: the request is refused, with AWS's code for why.
        """
        model = operation_model(name, SERVICE)
        if model is None or name not in self.operations:
            known = ", ".join(sorted(self.operations))
            raise _invalid(f"{name} is not available on the laptop cloud. It has: {known}.")
        try:
            validation.check(request, model.input_shape)
            return self.operations[name](request, caller)
        except SageMakerError as error:
            code = {"ValidationException": "ValidationError"}.get(error.code, error.code)
            status = 404 if code == "ResourceNotFound" else error.status
            raise SageMakerError(code, error.message, status) from None

    def put_record(self, request: Record, _: Caller) -> Record:
        """Keep a record: online if it is the newest of its entity, offline always."""
        group = self._groups.find(request["FeatureGroupName"])
        values = _checked(group, request["Record"])
        entity, time = values[group["RecordIdentifierFeatureName"]], _seconds(values[group["EventTimeFeatureName"]])
        stores = _stores(group, request)
        if ONLINE in stores:
            self._records.put(group["FeatureGroupName"], entity, time, values)
        if OFFLINE in stores:
            self._append(group, values, deleted=False)
        return {}

    def get_record(self, request: Record, _: Caller) -> Record:
        """The newest record of an entity; an empty answer where there is none."""
        found = self._found(request["FeatureGroupName"], request["RecordIdentifierValueAsString"], request)
        return {"Record": found} if found else {}

    def batch_get_record(self, request: Record, caller: Caller) -> Record:
        """The newest records of many entities; those that are not there are left out."""
        answer: Record = {"Records": [], "Errors": [], "UnprocessedIdentifiers": []}
        for asked in request["Identifiers"]:
            self._authorise(asked["FeatureGroupName"], caller)
            for entity in asked["RecordIdentifiersValueAsString"]:
                about = {"FeatureGroupName": asked["FeatureGroupName"], "RecordIdentifierValueAsString": entity}
                try:
                    found = self._found(asked["FeatureGroupName"], entity, asked)
                except SageMakerError as error:
                    answer["Errors"].append({**about, "ErrorCode": error.code, "ErrorMessage": error.message})
                    continue
                if found:
                    answer["Records"].append({**about, "Record": found})
        return answer

    def delete_record(self, request: Record, _: Caller) -> Record:
        """Delete an entity's record, unless a newer one is there."""
        group = self._groups.find(request["FeatureGroupName"])
        name, entity = group["FeatureGroupName"], request["RecordIdentifierValueAsString"]
        time, stores = _seconds(request["EventTime"]), _stores(group, request)
        named = {
            group["RecordIdentifierFeatureName"]: entity,
            group["EventTimeFeatureName"]: request["EventTime"],
        }
        if ONLINE in stores and request.get("DeletionMode") == "HardDelete":
            self._records.remove(name, entity, time)
        elif ONLINE in stores:
            self._records.put(name, entity, time, named, deleted=True)
        if OFFLINE in stores:
            self._append(group, named, deleted=True)
        return {}

    def _found(self, name: str, entity: str, request: Record) -> list[dict[str, str]]:
        group = self._groups.find(name)
        if ONLINE not in _stores(group, {}):
            raise _invalid(f"The OnlineStore of FeatureGroup {name} is not enabled.")
        known = {item["FeatureName"] for item in group["FeatureDefinitions"]}
        wanted = request.get("FeatureNames") or known
        if strange := set(wanted) - known:
            raise _invalid(f"FeatureGroup {name} has no feature {min(strange)}.")
        values = self._records.get(group["FeatureGroupName"], entity) or {}
        return [{"FeatureName": key, "ValueAsString": value} for key, value in values.items() if key in wanted]

    def _append(self, group: Record, values: Record, *, deleted: bool) -> None:
        self._records.append(
            group["FeatureGroupName"], {"values": values, "api_invocation_time": now(), "is_deleted": deleted}
        )

    def _authorise(self, name: str, caller: Caller) -> None:
        """Check the caller for each group of a batch; MiniStack checks the first one only."""
        arn = str(self._groups.find(name)["FeatureGroupArn"])
        action = "sagemaker:BatchGetRecord"
        if iam_evaluator.enforce(caller.access_key, action, "sagemaker", REGION, resource_arn=arn) is not None:
            message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {arn}"
            raise SageMakerError("AccessForbidden", message, 403)


def _stores(group: Record, request: Record) -> list[str]:
    """Where a record goes: into every store that the group has, or into those that the request names."""
    has = [ONLINE] if group.get("OnlineStoreConfig", {}).get("EnableOnlineStore") else []
    has += [OFFLINE] if "OfflineStoreConfig" in group else []
    wanted = request.get("TargetStores") or has
    if lacking := [store for store in wanted if store not in has]:
        raise _invalid(f"The {lacking[0]} of FeatureGroup {group['FeatureGroupName']} is not enabled.")
    return list(wanted)


def _checked(group: Record, record: list[dict[str, Any]]) -> dict[str, str]:
    """A record's values, each of its feature's type."""
    kinds = {item["FeatureName"]: item["FeatureType"] for item in group["FeatureDefinitions"]}
    values: dict[str, str] = {}
    for item in record:
        name, value = item["FeatureName"], item.get("ValueAsString")
        if name not in kinds:
            raise _invalid(f"Feature {name} is not defined in FeatureGroup {group['FeatureGroupName']}.")
        if name in values:
            raise _invalid(f"Feature {name} stands in the record twice.")
        if value is None:
            continue
        if not _fits(value, kinds[name]):
            raise _invalid(f"Failed to parse {value!r} of feature {name} as {kinds[name]}.")
        values[name] = value
    for needed in (group["RecordIdentifierFeatureName"], group["EventTimeFeatureName"]):
        if not values.get(needed):
            raise _invalid(f"Feature {needed} is missing in the record.")
    return values


def _fits(value: str, kind: str) -> bool:
    try:
        number = int(value) if kind == "Integral" else float(value) if kind == "Fractional" else 0
    except ValueError:
        return False
    return kind != "Integral" or -(2**63) <= number < 2**63


def _seconds(event_time: str) -> float:
    """An event time: seconds since 1970, or ISO 8601 in UTC to the second or the millisecond."""
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
