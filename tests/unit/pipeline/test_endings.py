"""The last steps of a run and of a rollout."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Registry
from penstock.ledger.ledger import NoRecordError
from penstock.release.live_service import Service
from tests.support.world import FUNCTION, World


def test_a_run_ends_with_its_reason_and_people_are_told_once(world: World) -> None:
    # Given an open run
    function = world.load("end_run")
    world.open_run("run1")
    # When its last step comes twice
    event = {"run": "run1", "outcome": "rejected", "reason": "roc_auc 0.8 < 0.85 (the minimum)"}
    replies = [function.handler(event, None) for _ in range(2)]
    # Then the ledger has it, and one notice tells how to look at it
    assert replies == [event, event]
    record = world.ledger.run("run1")
    assert (record["outcome"], record["reason"]) == ("rejected", event["reason"])
    notices = world.notices()
    assert [notice["subject"] for notice in notices] == ["flight-delay: run run1 rejected"]
    assert "penstock run run1 --model flight-delay --stage dev" in notices[0]["text"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"Error": "X", "Cause": json.dumps({"FailureReason": "AlgorithmError: no rows"})}, "AlgorithmError: no rows"),
        ({"Error": "X", "Cause": json.dumps({"FailureReason": "exit code: 1", "ExitMessage": "no rows"})}, "no rows"),
        ({"Error": "X", "Cause": json.dumps({"errorMessage": "it lacks a", "errorType": "E"})}, "it lacks a"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout"),
        ({"Error": "X", "Cause": "plain words"}, "plain words"),
        ({"Error": "X", "Cause": "[1]"}, "[1]"),
        ({}, "no reason given"),
        (None, "no reason given"),
    ],
)
def test_a_failed_step_is_told_in_its_own_words(world: World, error: Any, words: str) -> None:
    function = world.load("end_run")
    world.open_run("run1")
    reply = function.handler({"run": "run1", "outcome": "failed", "step": "train", "error": error}, None)
    assert reply["reason"] == f"train failed: {words}"
    assert world.ledger.run("run1")["reason"] == f"train failed: {words}"


def test_a_run_that_is_not_there(world: World) -> None:
    with pytest.raises(NoRecordError, match="run 'run9'"):
        world.load("end_run").handler({"run": "run9", "outcome": "skipped", "reason": "x"}, None)


def rollout(world: World, status: str = APPROVED) -> str:
    """An open rollout of a version that the registry has under this status; the version's ARN."""
    registry = Registry(world.group)
    package = registry.register(
        run="run1",
        since=datetime(2020, 1, 1, tzinfo=UTC),
        description="d",
        image="i",
        artifact="s3://b/a",
        metrics="s3://b/m",
        baseline="s3://b/d",
        properties={"run": "run1"},
    )
    registry.set_status(package.arn, status, "the test said so")
    assert world.ledger.open_rollout("o1", 3, "t", arn=package.arn, sha256="s3")
    return package.arn


def test_a_rollout_that_went_through_is_live(world: World) -> None:
    function = world.load("end_rollout")
    arn = rollout(world)
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
def test_a_rollout_that_was_taken_back_says_why(world: World, error: Any, words: str) -> None:
    function = world.load("end_rollout")
    arn = rollout(world)
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
    arn = rollout(world)
    error = {"Error": "NotConfigured", "Cause": "Lambda refused the configuration: too large"}
    reply = function.handler({"rollout": "o1", "outcome": "failed", "error": error}, None)
    assert reply["reason"] == "version 3 did not go live: Lambda refused the configuration: too large"
    assert world.ledger.rollout("o1")["outcome"] == "failed"
    assert Registry(world.group).describe(arn).status == PENDING


def test_an_ending_says_what_was_seen(world: World) -> None:
    function = world.load("end_rollout")
    rollout(world)
    event = {"rollout": "o1", "outcome": "live", "lambda_version": "7", "saw": "scores not compared: too few"}
    reply = function.handler(event, None)
    assert reply["reason"] == "version 3 serves all traffic; scores not compared: too few"


def test_an_ending_says_what_a_shadow_saw_and_once(world: World) -> None:
    # Given a rollout that answered unseen before it had weights
    function = world.load("end_rollout")
    rollout(world)
    shadow = {"said": "shadow: fine", "rows": 600}
    world.ledger.note_rollout("o1", weight=0, bakes_until="t", saw="shadow: fine", shadow=shadow)
    # When it is live, then both are told; and of a shadow alone, it alone
    event = {"rollout": "o1", "outcome": "live", "lambda_version": "7"}
    for saw, words in (("shadow: fine", "shadow: fine"), ("scores alike", "shadow: fine; scores alike")):
        assert function.handler(event | {"saw": saw}, None)["reason"] == f"version 3 serves all traffic; {words}"


def test_an_ending_names_the_code_that_was_published(world: World) -> None:
    # Given a published version, which a rollout takes back
    world.predict()
    published = world.publish({"PENSTOCK_VERSION": "3"})
    function = world.load("end_rollout")
    rollout(world)
    event = {"rollout": "o1", "outcome": "rolled back", "lambda_version": published, "error": {"Error": "Worse"}}
    function.handler(event, None)
    # Then the ledger has its code
    assert world.ledger.rollout("o1")["code"] == Service(FUNCTION).code()


def test_what_nobody_needs_is_pruned_when_a_version_is_live(world: World) -> None:
    # Given twelve published versions beside CloudFormation's, and version 2 was live before
    world.predict()
    for number in range(12):
        world.publish({"PENSTOCK_VERSION": str(number)})
    function = world.load("end_rollout")
    rollout(world)
    assert world.ledger.end_rollout("o1", "live", "r", "t", {"version": 2, "sha256": "s2", "lambda_version": "2"})
    assert world.ledger.open_rollout("o2", 3, "t", arn="arn", sha256="s3")
    # When the newest goes live
    function.handler({"rollout": "o2", "outcome": "live", "lambda_version": "13", "saw": ""}, None)
    # Then the newest two are there (each has a snapshot), what was live before, and CloudFormation's
    assert Service(FUNCTION).published() == [1, 2, 12, 13]


def test_what_was_rejected_during_its_rollout_stays_rejected(world: World) -> None:
    # Given a version that somebody rejected while it was being rolled out
    function = world.load("end_rollout")
    arn = rollout(world, REJECTED)
    # When the rollout ends for that reason
    error = {"Error": "Withdrawn", "Cause": "the registry has it as Rejected by now"}
    function.handler({"rollout": "o1", "outcome": "rolled back", "error": error}, None)
    # Then the registry keeps what the person said
    package = Registry(world.group).describe(arn)
    assert (package.status, package.description) == (REJECTED, "the test said so")


def test_a_repeated_ending_takes_back_no_later_approval(world: World) -> None:
    # Given a rollout that was taken back, and its version approved again since
    function = world.load("end_rollout")
    arn = rollout(world)
    event = {"rollout": "o1", "outcome": "rolled back", "error": {"Error": "AlarmRaised"}}
    function.handler(event, None)
    Registry(world.group).set_status(arn, APPROVED, "the cause is mended")
    # When the last step is repeated
    function.handler(event, None)
    # Then the approval stands, and people were told once
    assert Registry(world.group).describe(arn).approved
    assert len(world.notices()) == 1


def test_a_last_step_that_died_before_the_ledger_had_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the step dies between registry and ledger
    function = world.load("end_rollout")
    arn = rollout(world)
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
