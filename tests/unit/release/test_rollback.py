"""Rollback to an earlier version: requested in the registry, done by the same rollout."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED
from penstock.aws.s3_store import sha256
from penstock.release import rollback
from penstock.release.rollback import RollbackError
from penstock.spec.model import Approval, ModelSpec
from tests.support.office import ALICE, FILE, FakeRegistry, FakeService, Office
from tests.support.world import NOW, World


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    """Version 2 is live, version 1 was before it."""
    desk = Office(world, FakeRegistry(), spec, FakeService())
    for number in (1, 2):
        desk.handle(desk.version(number, changed=NOW + timedelta(minutes=number)))
        desk.go_live(desk.rollouts()[-1]["name"], number)
    return desk


def ask(office: Office, version: int, to: int, minute: int = 10, reason: str = "flights are late") -> str:
    """Request a rollback as Alice, and deliver the event of it."""
    return office.handle(office.decide(version, REJECTED, minute, rollback.format_request(to, reason)))


def approvals(office: Office, version: int) -> list[dict[str, Any]]:
    return office.world.ledger.approvals(version)


def test_an_earlier_version_is_rolled_out_again(office: Office) -> None:
    # Given a newer version waits, and the earlier one is older than an approval may be
    office.version(3, status=PENDING)
    old = office.registry.packages["arn:package/1"]
    office.registry.packages["arn:package/1"] = replace(old, created=NOW - timedelta(days=90))
    # When a rollback of the live version is requested, and its event comes five times
    sentences = [ask(office, 2, 1)] + [office.handle("arn:package/2") for _ in range(4)]
    # Then one rollout of version 1 runs, like any other
    assert office.rolled_out() == [1, 2, 1]
    execution = office.rollouts()[-1]
    assert sentences[0].startswith("version 2 is rolled back to version 1; ")
    assert all(f"rollout {execution['name']} is under way" in words for words in sentences)
    document = json.loads(execution["input"])
    assert (document["package_arn"], document["environment"]["PENSTOCK_MODEL_SHA256"]) == (
        "arn:package/1",
        sha256(FILE),
    )
    # And both versions and the rollout have who, when and why
    at = "2026-03-04T05:16:07.890+00:00"
    assert approvals(office, 1)[-1] == {
        "version": 1, "at": at, "decision": "approved", "rollback": 2, "by": ALICE, "reason": "flights are late",
    }  # fmt: skip
    assert approvals(office, 2)[-1] == {
        "version": 2, "at": at, "decision": "rolled back", "rollback_to": 1, "by": ALICE, "reason": "flights are late",
    }  # fmt: skip
    record = office.world.ledger.rollout(execution["name"])
    assert (record["rolls_back"], record["by"], record["because"]) == (2, ALICE, "flights are late")
    # And when it is live, nothing follows
    assert office.go_live(execution["name"], 1) == "no approved version waits for a rollout"
    live = office.world.ledger.live()
    assert live is not None
    assert live["version"] == 1
    assert office.handle("arn:package/2") == "no approved version waits for a rollout"
    assert len(office.rollouts()) == 3


def test_a_version_that_was_taken_back_needs_a_new_approval(office: Office) -> None:
    # Given version 2 was taken back
    ask(office, 2, 1)
    office.go_live(office.rollouts()[-1]["name"], 1)
    # When a rollback would bring it back, it may not
    ledger = office.world.ledger
    with pytest.raises(RollbackError, match="version 2 is rolled back: it needs a new approval"):
        rollback.find_target(ledger, 1, 2)
    with pytest.raises(RollbackError, match="no approved version was live before version 1"):
        rollback.find_target(ledger, 1, None)
    # And when it is approved anew, it may
    assert "of version 2 started" in office.handle(office.decide(2, APPROVED, minute=20))
    assert office.rolled_out() == [1, 2, 1, 2]


def test_two_rollbacks_go_back_two_versions(office: Office) -> None:
    office.handle(office.version(3, changed=NOW + timedelta(minutes=3)))
    office.go_live(office.rollouts()[-1]["name"], 3)
    for live, before, minute in ((3, 2, 10), (2, 1, 20)):
        assert rollback.find_target(office.world.ledger, live, None)["version"] == before
        ask(office, live, before, minute)
        office.go_live(office.rollouts()[-1]["name"], before)
    assert office.rolled_out() == [1, 2, 3, 2, 1]


@pytest.mark.parametrize(
    ("case", "refusal"),
    [
        ("under way", "of version 3 is under way: wait for its end, or stop it with"),
        ("not live", "version 1 is not live, version 2 is"),
        ("itself", "version 2 is live already"),
        ("unknown", "the ledger has no version 7 of flight-delay"),
        ("never live", "version 3 was never live"),
        ("withdrawn", "version 1 is no longer approved in the registry"),
        (
            "approved by another",
            "version 1 was changed in the registry since it was approved: an approval needs a reason",
        ),
        ("file", "was changed since it was registered"),
        ("who", f"{ALICE} is not among approval.who in model.yaml"),
    ],
)
def test_a_rollback_with_an_obstacle_is_refused_with_a_notice(office: Office, case: str, refusal: str) -> None:
    # Given an obstacle
    version, to = {"not live": (1, 2), "itself": (2, 2), "unknown": (2, 7), "never live": (2, 3)}.get(case, (2, 1))
    if case == "under way":
        office.handle(office.version(3, changed=NOW + timedelta(minutes=3)))
    if case == "never live":
        office.version(3, status=PENDING)
    if case == "withdrawn":
        office.registry.set_status("arn:package/1", PENDING, "edited by hand")
    if case == "approved by another":  # the events of the rejection before it and of this are still to come
        office.decide(1, APPROVED, 9, reason="")
    if case == "file":
        office.world.store.write(office.world.lake.model_file(sha256(FILE), "model.onnx"), b"another")
    if case == "who":
        office.spec = office.spec.model_copy(update={"approval": Approval(who=["*/admin/*"])})
    before = len(office.rollouts())
    office.world.notices()
    # When it is requested, and its event comes twice
    sentence = ask(office, version, to)
    office.handle(f"arn:package/{version}")
    # Then it is refused once, in the ledger and to the people, and nothing is rolled out
    assert sentence.startswith(f"rollback from version {version} to version {to} refused: ")
    refused = [item for item in approvals(office, to) if "rollback" in item]
    assert [(item["decision"], item["by"], item["rollback"]) for item in refused] == [("refused", ALICE, version)]
    assert refusal in refused[0]["refusal"]
    assert [notice["subject"] for notice in office.world.notices()] == ["flight-delay: rollback refused"]
    assert len(office.rollouts()) == before
    # And the version is rejected, as the registry has it
    assert approvals(office, version)[-1]["decision"] in {"rejected", "refused"}


def test_a_late_rollback_request_is_refused(office: Office) -> None:
    # Given version 3 was taken back, and version 2 serves
    office.handle(office.version(3, changed=NOW + timedelta(minutes=3)))
    office.go_live(office.rollouts()[-1]["name"], 3)
    ask(office, 3, 2)
    office.go_live(office.rollouts()[-1]["name"], 2)
    # When somebody else's request to take version 3 back to version 1 comes only now
    sentence = ask(office, 3, 1, minute=11)
    # Then that is refused, while the same words as before are an edit of something else
    assert sentence.startswith("rollback from version 3 to version 1 refused: version 3 is not live, version 2 is")
    assert approvals(office, 1)[-1]["refusal"] == "version 3 is not live, version 2 is"
    count = len(approvals(office, 2))
    assert ask(office, 3, 2, minute=12) == "no approved version waits for a rollout"
    assert len(approvals(office, 2)) == count


def test_a_description_of_another_form_is_only_a_rejection(office: Office) -> None:
    office.handle(office.decide(2, REJECTED, 10, "rolled back to version 1"))
    assert office.decisions(2)[-1] == ("rejected", ALICE)
    assert office.rolled_out() == [1, 2]


def test_a_rollback_whose_start_was_lost_is_started_by_the_next_event(office: Office) -> None:
    # Given the process died after it had opened the rollout
    arn = office.decide(2, REJECTED, 10, rollback.format_request(1, "late"))
    request = rollback.read_request(office.registry.packages[arn])
    assert request is not None
    assert office.authorization.rollback_review.record_request(request, NOW)
    assert office.rolled_out() == [1, 2]
    # When the event comes again, then it is started
    office.handle(arn)
    assert office.rolled_out() == [1, 2, 1]


def test_a_rollback_that_does_not_go_live_leaves_the_serving_version(office: Office) -> None:
    # Given the rollout of the earlier version fails
    ask(office, 2, 1)
    rollout = office.rollouts()[-1]["name"]
    office.take_back(rollout, 1)
    sentence = office.end(rollout, "FAILED")
    # Then version 2 still serves, and neither is rolled out by itself
    live = office.world.ledger.live()
    assert live is not None
    assert (live["version"], sentence) == (2, "no approved version waits for a rollout")
    # And both need an approval
    assert office.registry.packages["arn:package/1"].status == PENDING
    office.handle("arn:package/1")
    assert office.world.ledger.version(1)["decision"] == "set back"
    assert "of version 1 started" in office.handle(office.decide(1, APPROVED, minute=20))


def test_only_one_of_two_rollbacks_at_once_is_done(office: Office) -> None:
    office.handle(office.version(3, changed=NOW + timedelta(minutes=3)))
    office.go_live(office.rollouts()[-1]["name"], 3)
    ask(office, 3, 1, minute=10)
    sentence = ask(office, 3, 2, minute=11)
    assert "is under way" in sentence
    assert office.rolled_out() == [1, 2, 3, 1]


def test_a_rejection_by_hand_may_still_become_a_rollback(office: Office) -> None:
    office.handle(office.decide(2, REJECTED, 5, "bad numbers"))
    assert ask(office, 2, 1).startswith("version 2 is rolled back to version 1")
    assert office.decisions(2) == [("approved", ALICE), ("rejected", ALICE), ("rolled back", ALICE)]
