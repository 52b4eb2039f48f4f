"""Events: a rule's pattern and a handler's parser agree."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from penstock import events
from tests.support.world import ACCOUNT, BUCKET, REGION, alarm_raised, execution_ended, object_created, package_changed

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:pipeline"
PACKAGE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/group/7"
ALARM_ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:drift"
UPLOAD = object_created("raw/m/a b+c.csv", 12, "e1", "v1")


def fits(pattern: Any, value: Any) -> bool:
    """EventBridge's matching, as far as these patterns use it."""
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(
            name in value and fits(pattern[name], value[name]) for name in pattern
        )
    values = value if isinstance(value, list) else [value]
    return any(
        str(item).startswith(choice["prefix"]) if isinstance(choice, Mapping) else item == choice
        for choice in pattern
        for item in values
    )


@pytest.mark.parametrize(
    ("event", "pattern", "parsed"),
    [
        (
            UPLOAD,
            events.ObjectCreated.pattern(bucket=BUCKET, prefix="raw/m/"),
            events.ObjectCreated(BUCKET, "raw/m/a b+c.csv", 12, "e1", "v1", "2026-03-04T05:06:07Z", "00617F08299329"),
        ),
        (
            execution_ended(MACHINE, "run1", "FAILED", "it broke"),
            events.ExecutionEnded.pattern(state_machine=MACHINE),
            events.ExecutionEnded(MACHINE, "run1", "FAILED", "it broke"),
        ),
        (
            execution_ended(MACHINE, "run1", "SUCCEEDED"),
            events.ExecutionEnded.pattern(state_machine=MACHINE),
            events.ExecutionEnded(MACHINE, "run1", "SUCCEEDED", ""),
        ),
        (
            alarm_raised(),
            events.AlarmRaised.pattern(alarm_arn=ALARM_ARN),
            events.AlarmRaised(
                "drift", "Threshold Crossed: 1 datapoint [0.4] was greater", "2026-03-04T05:06:07.000+0000"
            ),
        ),
        (
            package_changed(PACKAGE, 7, "Rejected", "group"),
            events.PackageStateChange.pattern(group="group"),
            events.PackageStateChange("group", 7, PACKAGE, "Rejected"),
        ),
    ],
)
def test_a_sample_fits_its_pattern_and_is_read(event: Any, pattern: Any, parsed: events.Contract) -> None:
    assert fits(pattern, event)
    assert type(parsed).parse(event) == parsed


@pytest.mark.parametrize(
    ("event", "pattern"),
    [
        (UPLOAD, events.ObjectCreated.pattern(bucket="another", prefix="raw/m/")),
        (UPLOAD, events.ObjectCreated.pattern(bucket=BUCKET, prefix="raw/mm/")),
        (execution_ended(MACHINE, "r", "RUNNING"), events.ExecutionEnded.pattern(state_machine=MACHINE)),
        (execution_ended(MACHINE, "r", "FAILED"), events.ExecutionEnded.pattern(state_machine=MACHINE + "2")),
        (alarm_raised(value="OK"), events.AlarmRaised.pattern(alarm_arn=ALARM_ARN)),
        (alarm_raised(), events.AlarmRaised.pattern(alarm_arn=ALARM_ARN + "2")),
        (package_changed(PACKAGE, 7, "PendingManualApproval"), events.PackageStateChange.pattern(group="group")),
        (UPLOAD, events.ExecutionEnded.pattern(state_machine=MACHINE)),
    ],
)
def test_an_event_that_a_pattern_does_not_match(event: Any, pattern: Any) -> None:
    assert not fits(pattern, event)


KINDS: list[type[events.Contract]] = [
    events.ObjectCreated,
    events.ExecutionEnded,
    events.AlarmRaised,
    events.PackageStateChange,
]
SAMPLES = [UPLOAD, execution_ended(MACHINE, "r", "FAILED"), alarm_raised(), package_changed(PACKAGE, 7)]


def test_each_event_contract_matches_only_its_own_sample() -> None:
    matches = [[kind.matches(sample) for sample in SAMPLES] for kind in KINDS]
    assert matches == [[kind is other for other in KINDS] for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_is_refused_with_both_names(kind: type[events.Contract]) -> None:
    other = SAMPLES[(KINDS.index(kind) + 1) % len(KINDS)]
    with pytest.raises(events.EventError, match=f"expected '{kind.detail_type}' from {kind.source}, got"):
        kind.parse(other)
    with pytest.raises(events.EventError, match="got None"):
        kind.parse({})


@pytest.mark.parametrize(
    ("kind", "sample", "missing"),
    [
        (events.ObjectCreated, UPLOAD, ("bucket", "name")),
        (events.ObjectCreated, UPLOAD, ("object", "key")),
        (events.ObjectCreated, UPLOAD, ("object", "etag")),
        (events.ExecutionEnded, SAMPLES[1], ("status",)),
        (events.AlarmRaised, SAMPLES[2], ("state",)),
        (events.PackageStateChange, SAMPLES[3], ("ModelPackageArn",)),
    ],
)
def test_a_missing_field_is_named(kind: type[events.Contract], sample: Any, missing: tuple[str, ...]) -> None:
    event = copy.deepcopy(sample)
    at = event["detail"]
    for step in missing[:-1]:
        at = at[step]
    del at[missing[-1]]
    with pytest.raises(events.EventError, match=f"without '{missing[-1]}'"):
        kind.parse(event)


@pytest.mark.parametrize(("path", "value"), [("detail", None), ("detail", "text"), ("detail", {"object": None})])
def test_a_detail_of_another_shape_is_refused(path: str, value: Any) -> None:
    with pytest.raises(events.EventError):
        events.ObjectCreated.parse(UPLOAD | {path: value})


def test_a_size_that_is_no_number_is_refused() -> None:
    event = copy.deepcopy(UPLOAD)
    event["detail"]["object"]["size"] = "large"
    with pytest.raises(events.EventError):
        events.ObjectCreated.parse(event)


def test_a_bucket_without_versions_gives_the_null_version() -> None:
    event = copy.deepcopy(UPLOAD)
    del event["detail"]["object"]["version-id"]
    assert events.ObjectCreated.parse(event).version_id == "null"
