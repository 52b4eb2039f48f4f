"""Every event as a typed contract, shared by rules, handlers and tests.

An event class gives its EventBridge pattern (`pattern(…)`, for infra) and parses an event (`parse(event)`, for the
handler), so that the filter and the reader always agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

Event = Mapping[str, Any]
Pattern = dict[str, Any]


class EventError(Exception):
    """An event that the handler does not take."""


@dataclass(frozen=True)
class Contract:
    """Base class: source and detail-type identify the event."""

    source: ClassVar[str]
    detail_type: ClassVar[str]

    @classmethod
    def matches(cls, event: Event) -> bool:
        """Tell whether this is such an event, whatever its detail."""
        return event.get("source") == cls.source and event.get("detail-type") == cls.detail_type

    @classmethod
    def parse(cls, event: Event) -> Self:
        """Parse an event.

        Raises:
            EventError: it is of another kind or lacks a field of its detail.
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
    """S3 created an object; the event comes at least once, in any order, and the version id names the content."""

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
    """Hexadecimal; orders the objects that were put under one key."""

    @classmethod
    def pattern(cls, *, bucket: str, prefix: str) -> Pattern:
        """Match objects under a prefix of a bucket."""
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
    """A Step Functions execution ended, with whatever status."""

    source: ClassVar[str] = "aws.states"
    detail_type: ClassVar[str] = "Step Functions Execution Status Change"
    state_machine: str
    name: str
    status: str
    cause: str

    @classmethod
    def pattern(cls, *, state_machine: str) -> Pattern:
        """Match every end of one state machine's executions."""
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
    """Time of the change, as CloudWatch writes it; with the alarm's name it identifies the change."""

    @classmethod
    def pattern(cls, *, alarm_arn: str) -> Pattern:
        """Match one alarm's changes into ALARM."""
        return cls._pattern({"state": {"value": ["ALARM"]}}) | {"resources": [alarm_arn]}

    @classmethod
    def _from(cls, detail: Event, event: Event) -> Self:
        state = detail["state"]
        return cls(alarm=detail["alarmName"], reason=state.get("reason", ""), at=state.get("timestamp", event["time"]))


@dataclass(frozen=True)
class PackageStateChange(Contract):
    """A model package was changed, by whatever means."""

    source: ClassVar[str] = "aws.sagemaker"
    detail_type: ClassVar[str] = "SageMaker Model Package State Change"
    group: str
    version: int
    arn: str
    status: str

    @classmethod
    def pattern(cls, *, group: str) -> Pattern:
        """Match every change in one group; the registry's own record says what was changed."""
        return cls._pattern({"ModelPackageGroupName": [group]})

    @classmethod
    def _from(cls, detail: Event, _event: Event) -> Self:
        return cls(
            group=detail["ModelPackageGroupName"],
            version=int(detail["ModelPackageVersion"]),
            arn=detail["ModelPackageArn"],
            status=detail["ModelApprovalStatus"],
        )
