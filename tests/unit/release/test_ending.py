"""The end of a rollout: by its last step, and where its execution died."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Registry
from penstock.aws.s3_store import sha256
from penstock.release.live_service import Service, Serving
from penstock.spec.model import ModelSpec
from tests.support.command import register_package
from tests.support.office import FILE, FakeRegistry, FakeService, Office
from tests.support.world import FUNCTION, NOW, World


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec, FakeService())


# The last step


def open_rollout(world: World, status: str = APPROVED) -> str:
    """Open a rollout of a version with this status in the registry; return the ARN of its model package."""
    package = register_package(world)
    Registry(world.group).set_status(package.arn, status, "the test said so")
    assert world.ledger.open_rollout("o1", 3, "t", arn=package.arn, sha256="s3")
    return package.arn


def test_a_rollout_that_went_through_is_live(world: World) -> None:
    function = world.load("end_rollout")
    arn = open_rollout(world)
    replies = [function.handler({"rollout": "o1", "outcome": "live", "lambda_version": 7}, None) for _ in range(2)]
    assert replies[0] == {"rollout": "o1", "outcome": "live", "reason": "version 3 serves all traffic"}
    live = world.ledger.live()
    assert live is not None
    assert {name: live[name] for name in ("version", "sha256", "lambda_version", "rollout")} == {
        "version": 3, "sha256": "s3", "lambda_version": "7", "rollout": "o1",
    }  # fmt: skip
    assert [notice["subject"] for notice in world.notices()] == ["flight-delay: version 3 live"]
    assert Registry(world.group).describe(arn).approved


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"Error": "SmokeTestFailed", "Cause": json.dumps({"errorMessage": "2 of 25 differ"})}, "2 of 25 differ"),
        ({"Error": "AlarmRaised", "Cause": "errors during the canary"}, "errors during the canary"),
        ({"Error": "AlarmRaised"}, "AlarmRaised"),
        ({"Cause": "null"}, "null"),
        (None, "no reason given"),
    ],
)
def test_a_rollout_that_was_taken_back_has_its_reason(world: World, error: Any, words: str) -> None:
    function = world.load("end_rollout")
    arn = open_rollout(world)
    reply = function.handler({"rollout": "o1", "outcome": "rolled back", "lambda_version": None, "error": error}, None)
    assert reply["reason"] == f"version 3 was taken back: {words}"
    assert world.ledger.live() is None
    assert world.ledger.rollout("o1")["outcome"] == "rolled back"
    assert world.notices()[0]["text"] == reply["reason"]
    # And the registry says so too, for it to be approved again
    package = Registry(world.group).describe(arn)
    assert (package.status, package.description) == (PENDING, reply["reason"])


def test_a_rollout_that_failed_before_it_moved_traffic(world: World) -> None:
    function = world.load("end_rollout")
    arn = open_rollout(world)
    error = {"Error": "NotConfigured", "Cause": "Lambda refused the configuration: too large"}
    reply = function.handler({"rollout": "o1", "outcome": "failed", "error": error}, None)
    assert reply["reason"] == "version 3 did not go live: Lambda refused the configuration: too large"
    assert world.ledger.rollout("o1")["outcome"] == "failed"
    assert Registry(world.group).describe(arn).status == PENDING


def test_an_ending_has_the_last_finding(world: World) -> None:
    function = world.load("end_rollout")
    open_rollout(world)
    event = {"rollout": "o1", "outcome": "live", "lambda_version": "7", "saw": "scores not compared: too few"}
    reply = function.handler(event, None)
    assert reply["reason"] == "version 3 serves all traffic; scores not compared: too few"


def test_an_ending_has_the_finding_of_a_shadow_once(world: World) -> None:
    # Given a rollout whose version was a shadow before it had weights
    function = world.load("end_rollout")
    open_rollout(world)
    shadow = {"said": "shadow: fine", "rows": 600}
    world.ledger.note_rollout("o1", weight=0, bakes_until="t", saw="shadow: fine", shadow=shadow)
    # When it is live, then the reason has both findings, each once
    event = {"rollout": "o1", "outcome": "live", "lambda_version": "7"}
    for saw, words in (("shadow: fine", "shadow: fine"), ("scores alike", "shadow: fine; scores alike")):
        assert function.handler(event | {"saw": saw}, None)["reason"] == f"version 3 serves all traffic; {words}"


def test_an_ending_names_the_code_that_was_published(world: World) -> None:
    # Given a published version, which a rollout takes back
    world.predict()
    published = world.publish({"PENSTOCK_VERSION": "3"})
    function = world.load("end_rollout")
    open_rollout(world)
    event = {"rollout": "o1", "outcome": "rolled back", "lambda_version": published, "error": {"Error": "Worse"}}
    function.handler(event, None)
    # Then the ledger has its code
    assert world.ledger.rollout("o1")["code"] == Service(FUNCTION).code()


def test_superfluous_versions_are_pruned_when_a_version_is_live(world: World) -> None:
    # Given twelve published versions beside CloudFormation's, and version 2 was live before
    world.predict()
    for number in range(12):
        world.publish({"PENSTOCK_VERSION": str(number)})
    function = world.load("end_rollout")
    open_rollout(world)
    assert world.ledger.end_rollout("o1", "live", "r", "t", {"version": 2, "sha256": "s2", "lambda_version": "2"})
    assert world.ledger.open_rollout("o2", 3, "t", arn="arn", sha256="s3")
    # When the newest goes live
    function.handler({"rollout": "o2", "outcome": "live", "lambda_version": "13", "saw": ""}, None)
    # Then the newest two are there (each has a snapshot), what was live before, and CloudFormation's
    assert Service(FUNCTION).published() == [1, 2, 12, 13]


def test_a_version_that_was_rejected_during_its_rollout_stays_rejected(world: World) -> None:
    # Given a version that somebody rejected while it was being rolled out
    function = world.load("end_rollout")
    arn = open_rollout(world, REJECTED)
    # When the rollout ends for that reason
    error = {"Error": "Withdrawn", "Cause": "the registry has it as Rejected by now"}
    function.handler({"rollout": "o1", "outcome": "rolled back", "error": error}, None)
    # Then the registry keeps what the person said
    package = Registry(world.group).describe(arn)
    assert (package.status, package.description) == (REJECTED, "the test said so")


def test_a_repeated_ending_takes_back_no_later_approval(world: World) -> None:
    # Given a rollout that was taken back, and its version approved again since
    function = world.load("end_rollout")
    arn = open_rollout(world)
    event = {"rollout": "o1", "outcome": "rolled back", "error": {"Error": "AlarmRaised"}}
    function.handler(event, None)
    Registry(world.group).set_status(arn, APPROVED, "the cause is mended")
    # When the last step is repeated
    function.handler(event, None)
    # Then the approval stands, and one notice was sent
    assert Registry(world.group).describe(arn).approved
    assert len(world.notices()) == 1


def test_a_last_step_that_died_between_registry_and_ledger_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the step dies between registry and ledger
    function = world.load("end_rollout")
    arn = open_rollout(world)
    event = {"rollout": "o1", "outcome": "rolled back", "error": {"Error": "AlarmRaised"}}
    with monkeypatch.context() as patch:
        patch.delattr("penstock.ledger.releases.ReleaseRecords.end_rollout")
        with pytest.raises(AttributeError):
            function.handler(event, None)
    # When it is repeated
    function.handler(event, None)
    # Then both say the same
    assert Registry(world.group).describe(arn).status == PENDING
    assert world.ledger.rollout("o1")["outcome"] == "rolled back"
    assert world.ledger.holder("rollout") is None


# An execution that died


def test_a_rollout_that_died_is_closed_and_may_be_approved_again(office: Office) -> None:
    # Given a rollout whose execution was stopped
    arn = office.version(1)
    office.handle(arn)
    rollout = office.rollouts()[0]["name"]
    # When the event of its end comes
    sentence = office.end(rollout, "ABORTED", "by hand")
    # Then it failed with that reason, nothing is live, and it is not tried again by itself
    assert sentence == "no approved version waits for a rollout"
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED: by hand")
    assert office.world.ledger.live() is None
    # And one notice is sent: an alarm on failures misses executions that were stopped or timed out
    office.end(rollout, "ABORTED", "by hand")
    notice = {"subject": "flight-delay: version 1 failed", "text": "the rollout's execution ended ABORTED: by hand"}
    assert office.world.notices() == [notice]
    # And when it is approved once more, it is
    assert office.registry.packages[arn].status == PENDING
    office.decide(1, APPROVED, minute=5)
    assert "started" in office.handle(arn, NOW + timedelta(minutes=5))


@pytest.mark.parametrize("event", ["the same approval", "an edit", "another rejection"])
def test_a_lost_end_is_settled_by_the_next_event(office: Office, event: str) -> None:
    # Given a rollout whose execution was stopped before it moved traffic, and its end is lost
    arn = office.version(1)
    office.handle(arn)
    rollout = office.rollouts()[0]["name"]
    office.stop(rollout)
    # When something else comes
    if event == "an edit":
        office.registry.packages[arn] = replace(office.registry.packages[arn], changed=NOW + timedelta(minutes=1))
    if event == "another rejection":
        arn = office.version(2, status=REJECTED)
    sentence = office.handle(arn)
    # Then the rollout has failed, the registry says so, and the way is free
    assert sentence.endswith("no approved version waits for a rollout")
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED")
    assert office.world.ledger.holder("rollout") is None
    assert office.world.ledger.live() is None
    package = office.registry.packages["arn:package/1"]
    assert (package.status, package.description) == (PENDING, record["reason"])
    # And the event of that starts nothing
    assert office.handle("arn:package/1").endswith("no approved version waits for a rollout")
    assert office.rolled_out() == [1]


def test_a_lost_end_of_a_rollout_that_had_moved_the_traffic_is_live(office: Office) -> None:
    # Given a rollout died after it moved the traffic, and its end is lost
    arn = office.version(1)
    office.handle(arn)
    rollout = office.rollouts()[0]["name"]
    office.stop(rollout)
    office.service.serving = Serving("7", 1, sha256(FILE))
    # When the event of the approval comes again
    assert office.handle(arn) == "no approved version waits for a rollout"
    # Then it is live, as Lambda has it, and stays approved
    live = office.world.ledger.live()
    assert live is not None
    assert (live["version"], live["sha256"], live["lambda_version"]) == (1, sha256(FILE), "7")
    record = office.world.ledger.rollout(rollout)
    words = "version 1 serves all traffic, though the rollout's execution ended ABORTED"
    assert (record["outcome"], record["reason"]) == ("live", words)
    assert office.registry.packages[arn].approved


def test_a_waiting_version_follows_a_lost_end_at_once(office: Office) -> None:
    office.handle(office.version(1))
    office.stop(office.rollouts()[0]["name"])
    assert "of version 2 started" in office.handle(office.version(2))
    assert office.rolled_out() == [1, 2]


def test_a_late_event_of_an_end_that_was_recorded_changes_nothing(office: Office) -> None:
    office.handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.go_live(rollout, 1)
    before = office.world.records()
    assert office.end(rollout, "FAILED") == "no approved version waits for a rollout"
    assert office.world.records() == before
    assert office.registry.packages["arn:package/1"].approved


def test_the_share_that_a_dead_rollout_left_is_taken_back(office: Office) -> None:
    # Given a rollout whose execution was aborted while Lambda version 7 had a tenth of the traffic
    office.service.serving = Serving("6", 0, "s0")
    office.handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.service.serving = Serving("6", 0, "s0", shares={"7": 0.1})
    # When the event of its end comes twice
    for _ in range(2):
        office.end(rollout, "ABORTED", "a mistake")
    # Then one more execution takes it back, and the rollout is open until that has done so
    back = office.rollouts()[1:]
    assert [item["name"] for item in back] == [f"{rollout}-back"]
    document = json.loads(back[0]["input"])
    assert (document["rollout"], document["version"], document["back"]) == (
        rollout, "7", "the rollout's execution ended ABORTED: a mistake",
    )  # fmt: skip
    assert office.world.ledger.rollout(rollout)["state"] == "open"
    # And its own end lets the next one go
    office.take_back(rollout, 1)
    office.service.serving = Serving("6", 0, "s0")
    office.version(2)
    office.end(f"{rollout}-back", "FAILED")
    assert office.world.ledger.rollout(rollout)["outcome"] == "rolled back"


def test_the_alarms_that_a_dead_shadow_left_are_removed(office: Office) -> None:
    # Given a rollout whose execution was stopped while Lambda version 7 was a shadow: it has alarms and no share
    office.service.serving = Serving("6", 0, "s0")
    office.handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.note_rollout(rollout, weight=0, bakes_until="t", saw="shadow: fine", lambda_version="7")
    # When the event of its end comes
    office.end(rollout, "ABORTED", "a mistake")
    # Then one more execution goes back, which removes them
    (back,) = office.rollouts()[1:]
    assert (back["name"], json.loads(back["input"])["version"]) == (f"{rollout}-back", "7")
    assert office.world.ledger.rollout(rollout)["state"] == "open"
    # And where that dies too, the rollout is closed all the same
    office.stop(back["name"])
    office.end(back["name"], "ABORTED")
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED")


def test_a_watched_version_that_has_all_traffic_is_not_taken_back(office: Office) -> None:
    # Given a rollout that died after its last step but one, with version 7 watched and by now alone
    office.service.serving = Serving("6", 0, "s0")
    office.handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.note_rollout(rollout, weight=50, bakes_until="t", saw="fine", lambda_version="7")
    office.service.serving = Serving("7", 1, sha256(FILE))
    # When the event of its end comes, then it is live and nothing goes back
    office.end(rollout, "TIMED_OUT")
    assert office.world.ledger.rollout(rollout)["outcome"] == "live"
    assert len(office.rollouts()) == 1


def test_an_execution_that_dies_while_it_takes_back_is_recorded_as_failed(office: Office) -> None:
    # Given the way back of a dead rollout has died
    office.service.serving = Serving("6", 0, "s0", shares={"7": 0.1})
    office.handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.end(rollout, "ABORTED")
    office.stop(f"{rollout}-back")
    # When the event of its end comes
    office.end(f"{rollout}-back", "ABORTED")
    # Then the ledger has it as failed, and that a share is left
    record = office.world.ledger.rollout(rollout)
    assert record["outcome"] == "failed"
    assert "Lambda version 7 still has 10% of the traffic" in record["reason"]
