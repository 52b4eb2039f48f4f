"""`penstock approve` follows the rollout, and prints its result as soon as the ledger has it."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.aws.model_registry import Registry
from penstock.cli.rollout_progress import describe_progress, wait_for_rollout
from penstock.cli.target import Target, project_root
from penstock.ledger.ledger import NoRecordError, timestamp
from tests.support.command import Command, register_version
from tests.support.world import MODEL, World
from tests.unit.release.test_endpoints import OLD, make

ANNA = "arn:aws:iam::123456789012:user/anna"
LONG_AGO = "2020-01-01T00:00:00.000+00:00"


def soon(seconds: int = 60) -> str:
    """Return a time at which authorize handles an approval of now."""
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


def record_decision(stage: World, at: str, decision: str, **members: Any) -> None:
    assert stage.ledger.put_approval(1, at, decision=decision, by=ANNA, **members)


def make_live(stage: World, number: int, at: str) -> None:
    """Approve a version and roll it out."""
    stage.ledger.decide(number, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout(f"o{number}", number, at, approved=at)
    serving = {"version": number, "sha256": "s", "lambda_version": str(number)}
    assert stage.ledger.end_rollout(f"o{number}", "live", "serves", at, serving)


@pytest.mark.parametrize(
    ("decision", "about", "code", "words"),
    [
        ("counted", {"counted": f"1 of 2 approvals, by {ANNA}"}, 15, f"counted: 1 of 2 approvals, by {ANNA}"),
        ("refused", {"refusal": "version 2 is newer"}, 1, "refused: version 2 is newer"),
        ("rejected", {"reason": "not this one"}, 1, f"rejected: {ANNA}: not this one"),
        ("set back", {"reason": ""}, 1, f"set back: {ANNA}: no reason was given"),
    ],
)
def test_an_approval_that_does_not_go_live_ends_at_once(
    stage: World, command: Command, decision: str, about: dict[str, str], code: int, words: str
) -> None:
    # Given a decision of long ago, and the one of authorize
    register_version(stage)
    record_decision(stage, LONG_AGO, "refused", refusal="an older story")
    record_decision(stage, soon(), decision, **about)
    # When it is approved and followed
    result = command("approve", "--reason", "good")
    # Then the decision is printed, and the command for the next approver
    assert (result.code, words in result.out) == (code, True), result
    assert "an older story" not in result.out
    next_command = f"another person approves next: penstock approve {MODEL} --version 1 --stage dev --reason '…'"
    assert (next_command in result.out) == (decision == "counted")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({}, "version 2: publish, golden examples, traffic"),
        (
            {"weight": 10, "bakes_until": "2026-01-01T00:12:05.000Z", "saw": "scores not compared"},
            "version 2 gets 10%, 12:05 to go; scores not compared",
        ),
        (
            {"weight": 0, "bakes_until": "2026-01-01T00:01:00.000Z", "saw": "shadow: fine"},
            "version 2 gets shadow requests, 1:00 to go; shadow: fine",
        ),
        ({"weight": 50, "bakes_until": "2025-12-31T00:00:00.000Z", "saw": "x"}, "version 2 gets 50%, 0:00 to go; x"),
    ],
)
def test_the_progress_of_a_rollout_is_described(about: dict[str, Any], words: str) -> None:
    assert describe_progress({"version": 2} | about, datetime(2026, 1, 1, tzinfo=UTC)) == words


@pytest.mark.parametrize(("exists", "words"), [
    (False, r"version 1: its endpoint starts, 0:\d\d"),
    (True, "version 1: publish, golden examples, traffic"),
])  # fmt: skip
def test_the_start_of_an_endpoint_is_reported(stage: World, exists: bool, words: str) -> None:
    # Given a rollout in progress that waits for its endpoint, or has it
    register_version(stage)
    at = soon(0)
    stage.ledger.decide(1, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, at, approved=at)
    assert stage.ledger.name_endpoint("o1", OLD)
    if exists:
        make(OLD)
    texts: list[str] = []

    def report(text: str) -> None:
        texts.append(text)
        assert stage.ledger.end_rollout("o1", "failed", "it did not start", at, None)

    # When it is followed, then that is reported
    wait_for_rollout(Target(project_root(), "dev", MODEL), 1, at, report=report)
    assert re.fullmatch(words, texts[0])


def test_the_endpoint_of_the_live_version_is_printed(stage: World, command: Command) -> None:
    # Given a live version behind an endpoint
    register_version(stage)
    make(OLD)
    about = {"version": 1, "sha256": "s", "lambda_version": "2", "endpoint": OLD}
    assert stage.ledger.open_rollout("o1", 1, "t")
    assert stage.ledger.end_rollout("o1", "live", "serves", "t", about)
    # Then the commands that show the version print it
    assert f"version 1 is scored by endpoint {OLD} (InService)" in command("models", "show").out
    assert json.loads(command("models", "--json").out)[0]["endpoint"] == OLD


def test_the_progress_is_reported(stage: World) -> None:
    # Given a rollout in progress, at ten percent
    register_version(stage)
    at = soon()
    stage.ledger.decide(1, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, at, approved=at)
    assert stage.ledger.note_rollout("o1", weight=10, bakes_until=at, saw="scores not compared")
    texts: list[str] = []

    def report(text: str) -> None:
        texts.append(text)
        assert stage.ledger.end_rollout("o1", "rolled back", "an alarm", at, None)

    # When it is followed to its end, then that is reported
    assert wait_for_rollout(Target(project_root(), "dev", MODEL), 1, at, report=report) == ("rolled back", "an alarm")
    assert re.fullmatch(r"version 1 gets 10%, \d:\d\d to go; scores not compared", texts[0])


def test_the_last_of_several_approvals_is_followed_until_live(stage: World, command: Command) -> None:
    # Given one person has approved before, and the rollout ends after this approval
    register_version(stage)
    record_decision(stage, LONG_AGO, "counted", counted="1 of 2 approvals")
    make_live(stage, 1, soon())
    # When the other one approves
    result = command("approve", "--version", "1", "--reason", "good")
    # Then it is live
    assert (result.code, "live: serves" in result.out) == (0, True), result


def test_the_live_version_is_not_approved_again(stage: World, command: Command) -> None:
    # Given version 1 is approved and live
    arn = register_version(stage)
    Registry(stage.group).set_status(arn, "Approved", "good")
    make_live(stage, 1, LONG_AGO)
    # When it is approved again, then that is printed at once, and the registry is unchanged
    result = command("approve", "--reason", "again")
    assert (result.code, "version 1 of flight-delay is approved and live already" in result.out) == (0, True)
    assert Registry(stage.group).describe(arn).description == "good"


def test_a_replaced_version_is_refused_with_the_rollback(stage: World, command: Command) -> None:
    # Given version 1 was live before version 2
    arns = [register_version(stage, number) for number in (1, 2)]
    Registry(stage.group).set_status(arns[0], "Approved", "good")
    make_live(stage, 1, LONG_AGO)
    make_live(stage, 2, LONG_AGO.replace("00:00:00", "00:00:01"))
    # When it is approved again, then the command that brings it back is printed
    result = command("approve", "--version", "1", "--reason", "again")
    assert (result.code, "`penstock rollback flight-delay --to 1 --reason …` brings it back" in result.err) == (2, True)


def test_a_repeated_approval_follows_the_same_rollout(stage: World, command: Command) -> None:
    # Given version 1 was approved, and its rollout failed
    arn = register_version(stage)
    Registry(stage.group).set_status(arn, "Approved", "good")
    stage.ledger.decide(1, LONG_AGO, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, LONG_AGO, approved=LONG_AGO)
    assert stage.ledger.end_rollout("o1", "failed", "no golden example agreed", LONG_AGO, None)
    # When it is approved once more, then the rollout's outcome is printed
    result = command("approve", "--reason", "again")
    assert (result.code, "failed: no golden example agreed" in result.out) == (1, True), result


def test_the_outcome_of_a_rollout_overrides_decisions(stage: World, command: Command) -> None:
    # Given a rollout that set its version back before it ended
    register_version(stage)
    target, at = Target(project_root(), "dev", MODEL), soon()
    stage.ledger.decide(1, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, at, approved=at)
    record_decision(stage, at, "set back", reason="an alarm")
    # When it has ended, then its outcome is the result
    assert stage.ledger.end_rollout("o1", "rolled back", "version 1 was taken back: an alarm", at, None)
    assert wait_for_rollout(target, 1, at, patience=0) == ("rolled back", "version 1 was taken back: an alarm")
    # And a later approval has no result
    with pytest.raises(NoRecordError, match="rollout of version 1 after 0 s"):
        wait_for_rollout(target, 1, soon(120), patience=0)
