"""Who may put a version live, and whether it still may be."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.authorize.authorization import Authorization
from penstock.events import ExecutionEnded
from penstock.notify import Notifier
from penstock.registry import APPROVED, PENDING, REJECTED, Package, Registry
from penstock.settings import AuthorizeSettings, PredictSettings
from penstock.spec import Approval, ModelSpec
from penstock.store import sha256
from tests.unit.world import BUCKET, FUNCTION, NOW, STREAM, World, client, execution_ended, package_changed

ALICE = "arn:aws:sts::123456789012:assumed-role/approver/alice"
FILE = b"the model file"


@dataclass
class FakeRegistry(Registry):
    """A registry that knows who changed what, as SageMaker's does."""

    group: str = "group"
    packages: dict[str, Package] = field(default_factory=dict)

    def describe(self, arn: str) -> Package:
        return self.packages[arn]

    def set_status(self, arn: str, status: str, reason: str) -> None:
        self.packages[arn] = replace(self.packages[arn], status=status, description=reason)


@dataclass
class Office:
    """An authorization with everything around it."""

    world: World
    registry: FakeRegistry
    spec: ModelSpec

    @property
    def authorization(self) -> Authorization:
        settings = self.world.settings_of("authorize")
        assert isinstance(settings, AuthorizeSettings)
        return Authorization(
            settings=settings,
            spec=self.spec,
            lake=self.world.lake,
            store=self.world.store,
            ledger=self.world.ledger,
            registry=self.registry,
            notifier=Notifier(self.world.topic),
        )

    def version(self, number: int, **about: Any) -> str:
        """A registered version whose status someone changed."""
        digest = sha256(FILE)
        arn = f"arn:package/{number}"
        self.world.store.write(self.world.lake.model_file(digest, "model.onnx"), FILE)
        self.world.ledger.put_version(number, arn=arn, run="run1", sha256=digest)
        known = Package(arn, number, APPROVED, "better than before", ALICE, NOW, NOW - timedelta(days=1))
        self.registry.packages[arn] = replace(known, **about)
        return arn

    def changed(self, arn: str, now: datetime = NOW) -> str:
        return self.authorization.changed(arn, now)

    def ended(self, rollout: str, status: str, cause: str | None = None) -> str:
        event = ExecutionEnded.parse(execution_ended(self.world.rollout, rollout, status, cause))
        return self.authorization.rollout_ended(event, NOW)

    def rollouts(self) -> list[dict[str, Any]]:
        return self.world.executions(self.world.rollout)


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec)


def test_an_approval_is_one_rollout_however_often_it_is_told(office: Office) -> None:
    # Given a version that someone approved
    arn = office.version(1)
    # When the event comes five times
    said = [office.changed(arn) for _ in range(5)]
    # Then one rollout runs, with what the published version binds
    executions = office.rollouts()
    assert len(executions) == 1
    rollout = executions[0]["name"]
    assert said[0] == f"rollout {rollout} of version 1 started"
    assert all("is under way" in words for words in said[1:])
    document = json.loads(executions[0]["input"])
    environment = document.pop("environment")
    assert document == {
        "rollout": rollout,
        "model": "flight-delay",
        "package": 1,
        "package_arn": arn,
        "function": FUNCTION,
        "description": f"version 1, SHA-256 {sha256(FILE)[:12]}",
    }
    assert PredictSettings.read(environment) == PredictSettings(
        stage="dev", model="flight-delay", bucket=BUCKET, capture=STREAM, max_rows="500", version="1",
        model_key=office.world.lake.model_file(sha256(FILE), "model.onnx"), model_sha256=sha256(FILE),
    )  # fmt: skip
    # And the decision stands in the ledger once, with who and why
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["reason"]) for item in approvals] == [
        ("approved", ALICE, "better than before")
    ]


@pytest.mark.parametrize(
    ("policy", "about", "refusal"),
    [
        ({"who": ["*/approver/*"]}, {}, None),
        ({"who": ["*:role/admin", "*/approver/alic?"]}, {}, None),
        ({"who": ["*/admin/*"]}, {}, f"{ALICE} is not among approval.who in model.yaml"),
        ({"who": ["*/APPROVER/*"]}, {}, f"{ALICE} is not among approval.who in model.yaml"),
        ({"who": ["*/approver/*"]}, {"changed_by": ""}, "an unknown identity is not among approval.who in model.yaml"),
        ({}, {"description": " \n"}, "an approval needs a reason (the approval description)"),
        ({"reason": False}, {"description": ""}, None),
        ({}, {"created": NOW - timedelta(days=30, seconds=1)}, "the version is older than 30 days: train anew"),
        ({}, {"created": NOW - timedelta(days=30)}, None),
        ({"max_age_days": 2}, {"created": NOW - timedelta(days=3)}, "the version is older than 2 days: train anew"),
    ],
)
def test_the_policy_of_model_yaml(
    office: Office, policy: dict[str, Any], about: dict[str, Any], refusal: str | None
) -> None:
    office.spec = office.spec.model_copy(update={"approval": Approval(**policy)})
    arn = office.version(1, **about)
    assert office.authorization.refusal(office.registry.describe(arn), NOW) == refusal


def test_a_refusal_is_loud(office: Office) -> None:
    # Given an approval without a reason
    arn = office.version(1, description="")
    # When it is told, twice
    said = [office.changed(arn) for _ in range(2)]
    # Then the registry has it back at pending with the refusal, the ledger knows, and people are told once
    words = "an approval needs a reason (the approval description)"
    assert said == [f"approval of version 1 refused: {words}", f"version 1 is {PENDING}"]
    assert office.registry.packages[arn].status == PENDING
    assert office.registry.packages[arn].description == f"refused: {words}"
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["refusal"]) for item in approvals] == [("refused", ALICE, words)]
    notices = office.world.notices()
    assert [notice["subject"] for notice in notices] == ["flight-delay: approval of version 1 refused"]
    assert ALICE in notices[0]["text"]
    assert office.rollouts() == []


def test_only_the_newest_version_may_be_approved(office: Office) -> None:
    arn = office.version(1)
    office.version(2, status=PENDING)
    assert office.changed(arn) == "approval of version 1 refused: version 2 is newer: approve that one"


def test_a_file_that_was_changed_after_registration(office: Office) -> None:
    arn = office.version(1)
    office.world.store.write(office.world.lake.model_file(sha256(FILE), "model.onnx"), b"another")
    said = office.changed(arn)
    assert said == (
        "approval of version 1 refused: "
        f"the model file was changed since it was registered (SHA-256 {sha256(b'another')})"
    )


def test_a_file_that_is_gone(office: Office) -> None:
    arn = office.version(1)
    key = office.world.lake.model_file(sha256(FILE), "model.onnx")
    client("s3").delete_object(Bucket=BUCKET, Key=key)
    assert office.changed(arn).endswith(f"s3://{BUCKET}/{key} is not there")


def test_a_version_that_no_run_registered_is_refused(office: Office) -> None:
    # Given someone made a package by hand, and the ledger has none
    arn = "arn:package/1"
    office.registry.packages[arn] = Package(arn, 1, APPROVED, "trust me", ALICE, NOW, NOW)
    # When it is approved
    said = office.changed(arn)
    # Then it is refused and nothing is rolled out
    assert said.startswith("approval of version 1 refused: ")
    assert office.rollouts() == []


def test_a_rejection_is_recorded_with_who_and_why(office: Office) -> None:
    arn = office.version(1, status=REJECTED, description="too old")
    assert [office.changed(arn) for _ in range(2)] == ["version 1 is Rejected"] * 2
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["reason"]) for item in approvals] == [("rejected", ALICE, "too old")]
    assert office.rollouts() == []


def test_a_second_approval_waits_for_the_rollout_under_way(office: Office) -> None:
    # Given version 1 is being rolled out
    office.changed(office.version(1))
    first = office.rollouts()[0]["name"]
    # When version 2 is approved
    said = office.changed(office.version(2))
    # Then it waits
    assert said == f"rollout {first} is under way; what was approved meanwhile comes after it"
    assert len(office.rollouts()) == 1
    # And comes when the first has ended
    office.world.ledger.end_rollout(first, "live", "serves", "t", {"version": 1, "sha256": "s", "lambda_version": "1"})
    assert "of version 2 started" in office.ended(first, "SUCCEEDED")
    assert len(office.rollouts()) == 2


def test_a_rollout_that_died_is_closed_and_may_be_approved_again(office: Office) -> None:
    # Given a rollout whose execution was stopped
    arn = office.version(1)
    office.changed(arn)
    rollout = office.rollouts()[0]["name"]
    # When its end is told
    said = office.ended(rollout, "ABORTED", "by hand")
    # Then it failed with that reason, nothing is live, and it is not tried again by itself
    assert said == "no approved version waits for a rollout"
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED: by hand")
    assert office.world.ledger.live() is None
    # And when it is approved once more, it is
    office.registry.packages[arn] = replace(office.registry.packages[arn], changed=NOW + timedelta(minutes=5))
    assert "started" in office.changed(arn, NOW + timedelta(minutes=5))


def test_an_old_event_of_an_approval_that_was_rolled_out_starts_nothing(office: Office) -> None:
    arn = office.version(1)
    office.changed(arn)
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.end_rollout(rollout, "rolled back", "alarm", "t", None)
    assert office.changed(arn) == "no approved version waits for a rollout"
    assert len(office.rollouts()) == 1


def test_a_process_that_died_before_starting_its_rollout(office: Office) -> None:
    # Given a rollout that was opened and not started
    arn = office.version(1)
    record = {"arn": arn, "sha256": sha256(FILE)}
    assert office.world.ledger.open_rollout("o1", 1, "t", **record)
    # When the event comes again
    office.changed(arn)
    # Then it is started
    assert [item["name"] for item in office.rollouts()] == ["o1"]


def test_the_handler_reads_both_kinds_of_event(world: World) -> None:
    # Given the function as it is deployed, and a version in moto's registry, which does not say who changed it
    function = world.load("authorize")
    package = Registry(world.group).register(
        run="run1", description="d", image="i", artifact="s3://b/a", metrics="s3://b/m", properties={"run": "run1"}
    )
    world.ledger.put_version(1, arn=package.arn, run="run1", sha256=sha256(FILE))
    world.store.write(world.lake.model_file(sha256(FILE), "model.onnx"), FILE)
    Registry(world.group).set_status(package.arn, APPROVED, "good")
    # When its approval and then the rollout's end are told
    started = function.handler(package_changed(package.arn, 1), None)
    rollout = world.executions(world.rollout)[0]["name"]
    ended = function.handler(execution_ended(world.rollout, rollout, "FAILED"), None)
    # Then each was understood (the default policy lets anyone approve)
    assert started == {"said": f"rollout {rollout} of version 1 started"}
    assert ended == {"said": "no approved version waits for a rollout"}
    assert world.ledger.rollout(rollout)["outcome"] == "failed"
