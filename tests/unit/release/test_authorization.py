"""Approvals, refusals and rejections: who may put a version live, and whether it still may be."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Package, Registry
from penstock.aws.s3_store import sha256
from penstock.settings import PredictSettings
from penstock.spec.model import Approval, ModelSpec
from tests.support.command import register_package
from tests.support.office import ALICE, FILE, MACHINE, FakeRegistry, FakeService, Office
from tests.support.world import BUCKET, FUNCTION, NOW, STREAM, World, client, execution_ended, package_changed


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec, FakeService())


def test_an_approval_is_one_rollout_however_often_its_event_comes(office: Office) -> None:
    # Given a version that someone approved
    arn = office.version(1)
    # When the event comes five times
    sentences = [office.handle(arn) for _ in range(5)]
    # Then one rollout runs, with what the published version binds
    executions = office.rollouts()
    assert len(executions) == 1
    rollout = executions[0]["name"]
    assert sentences[0] == f"rollout {rollout} of version 1 started"
    assert all("is under way" in words for words in sentences[1:])
    document = json.loads(executions[0]["input"])
    environment = document.pop("environment")
    assert document == {
        "rollout": rollout,
        "model": "flight-delay",
        "package": 1,
        "package_arn": arn,
        "function": FUNCTION,
        "description": f"version 1, SHA-256 {sha256(FILE)[:12]}",
        "weights": [],  # nothing is live that it could share the traffic with
        "endpoint": {"name": ""},
        "drains": False,
        "version": "",
        "back": "",
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
    assert office.authorization.decisions.find_objection(office.registry.describe(arn), NOW) == refusal


def test_a_refusal_is_recorded_and_sent(office: Office) -> None:
    # Given an approval without a reason
    arn = office.version(1, description="")
    # When its event comes twice
    sentences = [office.handle(arn) for _ in range(2)]
    # Then the registry has it back at pending with the refusal, the ledger records it, and one notice is sent
    words = "an approval needs a reason (the approval description)"
    assert sentences == [f"approval of version 1 refused: {words}", "no approved version waits for a rollout"]
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
    assert office.handle(arn) == (
        "approval of version 1 refused: version 2 is newer: approve that one, or reject it first"
    )


def test_a_file_that_was_changed_after_registration_is_refused(office: Office) -> None:
    arn = office.version(1)
    office.world.store.write(office.world.lake.model_file(sha256(FILE), "model.onnx"), b"another")
    sentence = office.handle(arn)
    key = office.world.lake.model_file(sha256(FILE), "model.onnx")
    assert sentence == (
        f"approval of version 1 refused: {key} was changed since it was registered: "
        f"its SHA-256 is {sha256(b'another')}, registered was {sha256(FILE)}"
    )


def test_a_missing_file_is_refused(office: Office) -> None:
    arn = office.version(1)
    key = office.world.lake.model_file(sha256(FILE), "model.onnx")
    client("s3").delete_object(Bucket=BUCKET, Key=key)
    assert office.handle(arn).endswith(f"s3://{BUCKET}/{key} is not there")


def test_a_version_that_no_run_registered_is_refused(office: Office) -> None:
    # Given someone made a package by hand, and the ledger has none
    arn = "arn:package/1"
    office.registry.packages[arn] = Package(arn, 1, APPROVED, "trust me", ALICE, NOW, NOW)
    # When it is approved
    sentence = office.handle(arn)
    # Then it is refused and nothing is rolled out
    assert sentence == "approval of version 1 refused: the ledger has no version 1 of flight-delay"
    assert office.rollouts() == []
    # And the refusal is recorded, with no version made up for it
    assert office.decisions(1) == [("refused", ALICE)]
    assert office.registry.packages[arn].status == PENDING
    assert office.world.ledger.versions() == []


def test_a_version_that_no_run_registered_may_be_rejected(office: Office) -> None:
    arn = "arn:package/1"
    office.registry.packages[arn] = Package(arn, 1, REJECTED, "not ours", ALICE, NOW, NOW)
    assert office.handle(arn).startswith("version 1 is Rejected")
    assert office.decisions(1) == [("rejected", ALICE)]
    assert office.world.ledger.versions() == []


def test_a_rejection_is_recorded_with_who_and_why(office: Office) -> None:
    arn = office.version(1, status=REJECTED, description="too old")
    sentences = [office.handle(arn) for _ in range(2)]
    assert sentences[0].startswith("version 1 is Rejected")
    assert sentences[1] == "no approved version waits for a rollout"
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["reason"]) for item in approvals] == [("rejected", ALICE, "too old")]
    assert office.rollouts() == []


def test_the_handler_reads_both_kinds_of_event(world: World) -> None:
    # Given the function as it is deployed, and a version in moto's registry, which does not say who changed it
    world.predict()
    function = world.load("authorize")
    package = register_package(world)
    world.ledger.put_version(1, arn=package.arn, run="run1", sha256=sha256(FILE))
    world.store.write(world.lake.model_file(sha256(FILE), "model.onnx"), FILE)
    Registry(world.group).set_status(package.arn, APPROVED, "good")
    # When the events of its approval and of the end of the rollout come
    started = function.handler(package_changed(package.arn, 1), None)
    rollout = world.executions(world.rollout)[0]["name"]
    ended = function.handler(execution_ended(world.rollout, rollout, "FAILED"), None)
    # Then each is processed (the default policy lets anyone approve)
    assert started == {"said": f"rollout {rollout} of version 1 started"}
    assert ended == {"said": "no approved version waits for a rollout"}
    assert world.ledger.rollout(rollout)["outcome"] == "failed"
    assert Registry(world.group).describe(package.arn).status == PENDING


# After a decision


def test_an_older_version_may_be_approved_when_the_newer_was_rejected(office: Office) -> None:
    # Given version 2 is newer and was rejected
    office.version(1, status=PENDING)
    office.handle(office.version(2, status=REJECTED))
    # When version 1 is approved
    sentence = office.handle(office.decide(1, APPROVED, minute=1))
    # Then it is rolled out
    assert "of version 1 started" in sentence
    assert office.rolled_out() == [1]


def test_an_older_version_may_come_back_when_the_live_one_was_rejected(office: Office) -> None:
    office.version(1, status=PENDING)
    office.handle(office.version(2))
    office.go_live(office.rollouts()[0]["name"], 2)
    office.handle(office.decide(2, REJECTED, minute=1))
    assert "of version 1 started" in office.handle(office.decide(1, APPROVED, minute=2))
    assert office.rolled_out() == [2, 1]


def test_a_withdrawn_rejection_no_longer_counts(office: Office) -> None:
    office.version(1, status=PENDING)
    office.handle(office.version(2, status=REJECTED))
    office.handle(office.decide(2, PENDING, minute=1))
    assert "version 2 is newer" in office.handle(office.decide(1, APPROVED, minute=2))
    assert office.decisions(2) == [("rejected", ALICE), ("set back", ALICE)]


@pytest.mark.parametrize("event_comes", [True, False], ids=["event comes", "event lost"])
def test_a_version_that_was_taken_back_may_be_approved_again(office: Office, *, event_comes: bool) -> None:
    # Given a version was approved, rolled out and taken back, and the event of its setting back came or was lost
    arn = office.version(1)
    office.handle(arn)
    first = office.rollouts()[0]["name"]
    office.take_back(first, 1)
    if event_comes:
        assert office.handle(arn).startswith(f"version 1 is {PENDING}")
    assert office.end(first, "FAILED") == "no approved version waits for a rollout"
    # When it is approved again, and that event comes twice
    office.decide(1, APPROVED, minute=5)
    sentences = [office.handle(arn) for _ in range(2)]
    # Then a second rollout runs
    second = office.rollouts()[1]["name"]
    assert sentences[0] == f"rollout {second} of version 1 started"
    assert "is under way" in sentences[1]
    assert office.rolled_out() == [1, 1]
    approved = [("approved", ALICE), ("approved", ALICE)]
    assert office.decisions(1) == (approved[:1] + [("set back", MACHINE)] * event_comes + approved[1:])


def test_an_edit_of_a_live_version_changes_nothing(office: Office) -> None:
    # Given version 1 is live
    arn = office.version(1)
    office.handle(arn)
    office.go_live(office.rollouts()[0]["name"], 1)
    before = office.world.records()
    # When someone who may not approve edits its metadata
    edited = replace(office.registry.packages[arn], changed=NOW + timedelta(days=90), changed_by="arn:someone")
    office.registry.packages[arn] = edited
    sentence = office.handle(arn, NOW + timedelta(days=90))
    # Then nothing is started, recorded or set back
    assert sentence == "no approved version waits for a rollout"
    assert office.world.records() == before
    assert office.registry.packages[arn] == edited
    assert office.rolled_out() == [1]
