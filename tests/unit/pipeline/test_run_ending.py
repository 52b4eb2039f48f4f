"""The end of a run: its reason in the ledger, and one notice."""

import json
from typing import Any

import pytest

from penstock.ledger.ledger import NoRecordError
from tests.support.world import World


def test_a_run_ends_with_its_reason_and_one_notice(world: World) -> None:
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
def test_a_failed_step_has_the_reason_of_its_error(world: World, error: Any, words: str) -> None:
    function = world.load("end_run")
    world.open_run("run1")
    reply = function.handler({"run": "run1", "outcome": "failed", "step": "train", "error": error}, None)
    assert reply["reason"] == f"train failed: {words}"
    assert world.ledger.run("run1")["reason"] == f"train failed: {words}"


def test_an_unknown_run_is_an_error(world: World) -> None:
    with pytest.raises(NoRecordError, match="run 'run9'"):
        world.load("end_run").handler({"run": "run9", "outcome": "skipped", "reason": "x"}, None)
