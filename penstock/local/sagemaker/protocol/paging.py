"""Filters, order and pages of List operations, the same for all of them."""

import base64
import binascii
import hashlib
import json
from typing import Any

from botocore.model import ListShape

from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import validation

Record = dict[str, Any]
_DEFAULT_PAGE = 10
_SORT_MEMBERS = {name: name for name in ("CreationTime", "LastModifiedTime", "FinalObjectiveMetricValue")}
_KINDS = ("Training", "Processing", "HyperParameterTuning")


def page(operation: str, request: Record, records: list[Record], *, name: str, member: str) -> Record:
    """Build the response of a List operation.

    Args:
        operation: the operation; its model has the members of a summary.
        request: the request with its filters.
        records: all records.
        name: the member of a record that `NameContains` and `SortBy: Name` refer to.
        member: the member of the response that holds the summaries.
    """
    matches = _sort([record for record in records if _matches(record, request, name)], request, name)
    start = _offset(request)
    size = request.get("MaxResults", _DEFAULT_PAGE)
    response: Record = {
        member: [project(record, _summary(operation, member)) for record in matches[start : start + size]]
    }
    if start + size < len(matches):
        response["NextToken"] = _token(request, start + size)
    return response


def _summary(operation: str, member: str) -> Any:
    shape = output_shape(operation).members[member]  # type: ignore[attr-defined]
    if not isinstance(shape, ListShape):
        raise TypeError(f"{operation} has no list {member}")
    return shape.member


def _matches(record: Record, request: Record, name: str) -> bool:
    if request.get("NameContains", "").lower() not in str(record.get(name, "")).lower():
        return False
    status = request.get("StatusEquals")
    if status is not None and status not in [record.get(f"{kind}JobStatus") for kind in _KINDS]:
        return False
    for bound in ("CreationTime", "LastModifiedTime"):
        moment = record.get(bound, 0.0)
        if not _seconds(request.get(f"{bound}After"), 0.0) <= moment <= _seconds(request.get(f"{bound}Before"), 9e12):
            return False
    return True


def _seconds(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _sort(records: list[Record], request: Record, name: str) -> list[Record]:
    by = request.get("SortBy", "CreationTime")
    key = _SORT_MEMBERS.get(by) or (name if by == "Name" else f"{name.removesuffix('Name')}Status")
    ordered = sorted(enumerate(records), key=lambda item: (item[1].get(key) or 0, item[0]))
    result = [record for _, record in ordered]
    return result[::-1] if request.get("SortOrder") == "Descending" else result


def _token(request: Record, offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, _fingerprint(request)]).encode()).decode()


def _offset(request: Record) -> int:
    if "NextToken" not in request:
        return 0
    try:
        offset, fingerprint = json.loads(base64.urlsafe_b64decode(request["NextToken"]))
    except (binascii.Error, ValueError, TypeError):
        raise validation("Invalid NextToken.") from None
    if fingerprint != _fingerprint(request):
        raise validation("NextToken belongs to another request: filters and order must stay the same between pages.")
    return int(offset)


def _fingerprint(request: Record) -> str:
    filters = {key: value for key, value in request.items() if key not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]
