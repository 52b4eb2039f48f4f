"""The start of rollouts: one at a time, in order, and again where a start was lost."""

import json
from dataclasses import replace

import pytest

from penstock.aws.model_registry import PENDING, REJECTED
from penstock.aws.s3_store import sha256
from penstock.release.live_service import Serving
from penstock.settings import PredictSettings
from penstock.spec.model import ModelSpec, Rollout
from tests.support.office import ALICE, FILE, FakeRegistry, FakeService, Office
from tests.support.world import NOW, World


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec, FakeService())


def test_a_rollout_binds_the_feature_store(office: Office) -> None:
    # Given a model with a feature store
    settings = replace(office.authorization.settings, feature_store='{"group":"g"}')
    # When a version of it is approved
    replace(office.authorization, settings=settings).handle_change(office.version(1), NOW)
    # Then what is published knows the store
    (execution,) = office.rollouts()
    assert PredictSettings.read(json.loads(execution["input"])["environment"]).feature_store == '{"group":"g"}'


def test_a_rollout_beside_a_live_version_goes_by_weights(office: Office) -> None:
    office.service.serving = Serving("1", 0, "s0")
    office.handle(office.version(1))
    assert json.loads(office.rollouts()[0]["input"])["weights"] == [10, 50]


def test_an_old_event_of_an_approval_that_was_rolled_out_starts_nothing(office: Office) -> None:
    arn = office.version(1)
    office.handle(arn)
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.end_rollout(rollout, "rolled back", "alarm", "t", None)
    assert office.handle(arn) == "no approved version waits for a rollout"
    assert len(office.rollouts()) == 1


def test_a_rollout_whose_start_was_lost_is_started_by_the_next_event(office: Office) -> None:
    # Given a rollout that was opened and not started
    arn = office.version(1)
    record = {"arn": arn, "sha256": sha256(FILE)}
    assert office.world.ledger.open_rollout("o1", 1, "t", **record)
    # When the event comes again
    office.handle(arn)
    # Then it is started
    assert [item["name"] for item in office.rollouts()] == ["o1"]


# Approvals during a rollout


def test_a_second_approval_waits_for_the_rollout_under_way(office: Office) -> None:
    # Given version 1 is being rolled out
    office.handle(office.version(1))
    first = office.rollouts()[0]["name"]
    # When version 2 is approved
    sentence = office.handle(office.version(2))
    # Then it waits
    assert sentence == f"rollout {first} is under way; what was approved meanwhile comes after it"
    assert len(office.rollouts()) == 1
    # And comes when the first has ended
    office.world.ledger.end_rollout(first, "live", "serves", "t", {"version": 1, "sha256": "s", "lambda_version": "1"})
    assert "of version 2 started" in office.end(first, "SUCCEEDED")
    assert len(office.rollouts()) == 2


def test_a_version_that_is_rejected_while_it_waits_is_never_rolled_out(office: Office) -> None:
    # Given version 1 is being rolled out, and version 2 approved
    office.handle(office.version(1))
    first = office.rollouts()[0]["name"]
    office.handle(office.version(2))
    # When it is rejected, and the first rollout goes live
    sentence = office.handle(office.decide(2, REJECTED, minute=1))
    after = office.go_live(first, 1)
    # Then it stays where it is, whatever comes
    assert sentence.startswith("version 2 is Rejected")
    assert after == "no approved version waits for a rollout"
    assert office.handle("arn:package/2") == "no approved version waits for a rollout"
    assert office.rolled_out() == [1]
    assert office.decisions(2) == [("approved", ALICE), ("rejected", ALICE)]


def test_a_rejection_counts_before_its_event_comes(office: Office) -> None:
    # Given version 1 is being rolled out, version 2 approved, then rejected, and its event is still to come
    office.handle(office.version(1))
    office.handle(office.version(2))
    office.decide(2, REJECTED, minute=1)
    # When the first rollout goes live
    sentence = office.go_live(office.rollouts()[0]["name"], 1)
    # Then the registry was read
    assert sentence == "no approved version waits for a rollout"
    assert office.rolled_out() == [1]
    assert office.decisions(2)[-1] == ("rejected", ALICE)


def test_of_two_that_wait_the_newest_is_rolled_out_and_the_older_refused(office: Office) -> None:
    # Given versions 2 and 3 are approved while version 1 is being rolled out
    office.handle(office.version(1))
    for number in (2, 3):
        office.handle(office.version(number))
    # When that and the next rollout go live
    first = office.rollouts()[0]["name"]
    assert "of version 3 started" in office.go_live(first, 1)
    second = office.rollouts()[1]["name"]
    assert office.go_live(second, 3) == "no approved version waits for a rollout"
    # Then version 2 was refused, with a notice
    assert office.rolled_out() == [1, 3]
    refused = office.world.ledger.approvals(2)[-1]
    words = "version 3 is newer: approve that one, or reject it first"
    assert (refused["decision"], refused["by"], refused["refusal"]) == ("refused", ALICE, words)
    assert office.registry.packages["arn:package/2"].status == PENDING
    assert office.registry.packages["arn:package/2"].description == f"refused: {words}"
    assert [notice["subject"] for notice in office.world.notices()] == ["flight-delay: approval of version 2 refused"]
    # And the event of its setting back changes nothing
    assert office.handle("arn:package/2") == "no approved version waits for a rollout"
    assert office.decisions(2) == [("approved", ALICE), ("refused", ALICE)]


def test_the_older_of_two_does_not_follow_when_the_newer_is_taken_back(office: Office) -> None:
    office.handle(office.version(1))
    for number in (2, 3):
        office.handle(office.version(number))
    office.go_live(office.rollouts()[0]["name"], 1)
    second = office.rollouts()[1]["name"]
    office.take_back(second, 3)
    assert office.end(second, "FAILED") == "no approved version waits for a rollout"
    assert office.rolled_out() == [1, 3]
    assert office.world.ledger.approvals(2)[-1]["refusal"].startswith("version 3 is newer: approve that one")


def superseding(office: Office) -> Office:
    """The same, where a second approval takes the first one's rollout back; version 0 is live."""
    office.spec = office.spec.model_copy(update={"rollout": Rollout(on_second_approval="supersede")})
    office.service.serving = Serving("1", 0, "s0")
    return office


def test_a_second_approval_supersedes_where_the_specification_says_so(office: Office) -> None:
    # Given version 1 is being rolled out
    superseding(office).handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    # When version 2 is approved, and its event comes twice
    arn = office.version(2)
    sentences = [office.handle(arn) for _ in range(2)]
    # Then the rollout is marked to end
    assert sentences == [f"rollout {rollout} of version 1 gives way to version 2"] * 2
    assert office.world.ledger.rollout(rollout)["superseded_by"] == 2
    assert office.rolled_out() == [1]
    # And when it has ended, version 2 goes
    office.take_back(rollout, 1)
    office.end(rollout, "FAILED")
    assert office.rolled_out() == [1, 2]


def test_a_second_approval_waits_unless_the_specification_says_otherwise(office: Office) -> None:
    office.handle(office.version(1))
    sentence = office.handle(office.version(2))
    assert sentence.endswith("what was approved meanwhile comes after it")
    assert "superseded_by" not in office.world.ledger.rollout(office.rollouts()[0]["name"])
