"""Every event as a typed contract, used by the rule, by the handler and by the tests.

An event class gives its EventBridge pattern (`pattern(…)`, for infra) and parses an event (`parse(event)`, for the
handler), so that what is filtered and what is read cannot part ways.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

Event = Mapping[str, Any]
Pattern = dict[str, Any]


class EventError(Exception):
    """An event that is not of the kind that the handler takes."""


@dataclass(frozen=True)
class Contract:
    """Base: source and detail-type are the event's identity."""

    source: ClassVar[str]
    detail_type: ClassVar[str]

    @classmethod
    def matches(cls, event: Event) -> bool:
        """Whether this is such an event, whatever its detail."""
        return event.get("source") == cls.source and event.get("detail-type") == cls.detail_type

    @classmethod
    def parse(cls, event: Event) -> Self:
        """The event as a value.

        Raises:
            EventError: when it is of another kind or lacks a field of its detail.
        """
        if not cls.matches(event):
            raise EventError(f"expected {cls.detail_type!r} from {cls.source}, got {event.get('detail-type')!r}")
        try:
            return cls._from(event["detail"], event)
        except KeyError as error:
            raise EventError(f"{cls.detail_type!r} without {error}") from None
        except (TypeError, ValueError) as error:
            raise EventError(f"{cls.detail_type!r} with a field of another kind: {error}") from None

    @classmethod
    def _from(cls, detail: Event, _event: Event) -> Self:
        raise NotImplementedError

    @classmethod
    def _pattern(cls, detail: Pattern) -> Pattern:
        return {"source": [cls.source], "detail-type": [cls.detail_type], "detail": detail}


@dataclass(frozen=True)
class ObjectCreated(Contract):
    """S3 put an object. At least once, in any order; the version id says which content."""

    source: ClassVar[str] = "aws.s3"
    detail_type: ClassVar[str] = "Object Created"
    bucket: str
    key: str
    size: int
    etag: str
    version_id: str
    at: str = ""
    """When it was put (ISO 8601)."""
    sequencer: str = ""
    """Hexadecimal; orders what was put under one key."""

    @classmethod
    def pattern(cls, *, bucket: str, prefix: str) -> Pattern:
        """Objects under a prefix of a bucket."""
        return cls._pattern({"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": prefix}]}})

    @classmethod
    def _from(cls, detail: Event, event: Event) -> Self:
        item = detail["object"]
        return cls(
            bucket=detail["bucket"]["name"],
            key=item["key"],
            size=int(item["size"]),
            etag=item["etag"],
            version_id=item.get("version-id", "null"),
            at=event.get("time", ""),
            sequencer=item.get("sequencer", ""),
        )


@dataclass(frozen=True)
class ExecutionEnded(Contract):
    """A Step Functions execution reached its end, whichever."""

    source: ClassVar[str] = "aws.states"
    detail_type: ClassVar[str] = "Step Functions Execution Status Change"
    state_machine: str
    name: str
    status: str
    cause: str

    @classmethod
    def pattern(cls, *, state_machine: str) -> Pattern:
        """Every end of one state machine's executions."""
        ends = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
        return cls._pattern({"stateMachineArn": [state_machine], "status": ends})

    @classmethod
    def _from(cls, detail: Event, _event: Event) -> Self:
        return cls(
            state_machine=detail["stateMachineArn"],
            name=detail["name"],
            status=detail["status"],
            cause=detail.get("cause") or detail.get("error") or "",
        )


@dataclass(frozen=True)
class AlarmRaised(Contract):
    """A CloudWatch alarm went into ALARM."""

    source: ClassVar[str] = "aws.cloudwatch"
    detail_type: ClassVar[str] = "CloudWatch Alarm State Change"
    alarm: str
    reason: str
    at: str
    """Time of the change, as CloudWatch writes it; with the name it identifies the change."""

    @classmethod
    def pattern(cls, *, alarm_arn: str) -> Pattern:
        """One alarm's changes into ALARM."""
        return cls._pattern({"state": {"value": ["ALARM"]}}) | {"resources": [alarm_arn]}

    @classmethod
    def _from(cls, detail: Event, event: Event) -> Self:
        state = detail["state"]
        return cls(alarm=detail["alarmName"], reason=state.get("reason", ""), at=state.get("timestamp", event["time"]))


@dataclass(frozen=True)
class PackageStateChange(Contract):
    """A model package's approval status changed, by whatever means."""

    source: ClassVar[str] = "aws.sagemaker"
    detail_type: ClassVar[str] = "SageMaker Model Package State Change"
    group: str
    version: int
    arn: str
    status: str

    @classmethod
    def pattern(cls, *, group: str) -> Pattern:
        """Every change in one group; what it means, the registry's own record says."""
        return cls._pattern({"ModelPackageGroupName": [group]})

    @classmethod
    def _from(cls, detail: Event, _event: Event) -> Self:
        return cls(
            group=detail["ModelPackageGroupName"],
            version=int(detail["ModelPackageVersion"]),
            arn=detail["ModelPackageArn"],
            status=detail["ModelApprovalStatus"],
        )
