"""`penstock approve` followed to its end: whatever the ledger says by then is said at once."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.aws.model_registry import Registry
from penstock.cli.rollout_progress import describe_progress, wait_for_rollout
from penstock.cli.target import Target, project_root
from penstock.ledger.ledger import NoRecordError, timestamp
from tests.support.world import MODEL, World
from tests.unit.cli.test_cli import Command, command, project, registered, stack, stage
from tests.unit.release.test_endpoints import OLD, make

__all__ = ["command", "project", "stack", "stage"]
ANNA = "arn:aws:iam::123456789012:user/anna"
LONG_AGO = "2020-01-01T00:00:00.000+00:00"


def soon(seconds: int = 60) -> str:
    """When authorize answers what is approved now."""
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


def decided(stage: World, at: str, decision: str, **about: Any) -> None:
    assert stage.ledger.put_approval(1, at, decision=decision, by=ANNA, **about)


def live(stage: World, number: int, at: str) -> None:
    """Version `number` is approved and rolled out."""
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
    # Given what was decided long ago, and what authorize answers
    registered(stage)
    decided(stage, LONG_AGO, "refused", refusal="an older story")
    decided(stage, soon(), decision, **about)
    # When it is approved and followed
    said = command("approve", "--reason", "good")
    # Then the answer is said, and who is asked next
    assert (said.code, words in said.out) == (code, True), said
    assert "an older story" not in said.out
    following = f"another person approves next: penstock approve {MODEL} --version 1 --stage dev --reason '…'"
    assert (following in said.out) == (decision == "counted")


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
def test_how_far_a_rollout_is(about: dict[str, Any], words: str) -> None:
    assert describe_progress({"version": 2} | about, datetime(2026, 1, 1, tzinfo=UTC)) == words


@pytest.mark.parametrize(("there", "words"), [
    (False, r"version 1: its endpoint starts, 0:\d\d"),
    (True, "version 1: publish, golden examples, traffic"),
])  # fmt: skip
def test_whoever_follows_is_told_that_an_endpoint_starts(stage: World, there: bool, words: str) -> None:
    # Given a rollout under way that waits for its endpoint, or has it
    registered(stage)
    at = soon(0)
    stage.ledger.decide(1, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, at, approved=at)
    assert stage.ledger.name_endpoint("o1", OLD)
    if there:
        make(OLD)
    told: list[str] = []

    def tell(said: str) -> None:
        told.append(said)
        assert stage.ledger.end_rollout("o1", "failed", "it did not start", at, None)

    # When it is followed, then that was said on the way
    wait_for_rollout(Target(project_root(), "dev", MODEL), 1, at, report=tell)
    assert re.fullmatch(words, told[0])


def test_the_endpoint_of_the_live_version_is_named(stage: World, command: Command) -> None:
    # Given a live version that an endpoint scores
    registered(stage)
    make(OLD)
    about = {"version": 1, "sha256": "s", "lambda_version": "2", "endpoint": OLD}
    assert stage.ledger.open_rollout("o1", 1, "t")
    assert stage.ledger.end_rollout("o1", "live", "serves", "t", about)
    # Then the commands that show it name it
    assert f"version 1 is scored by endpoint {OLD} (InService)" in command("models", "show").out
    assert json.loads(command("models", "--json").out)[0]["endpoint"] == OLD


def test_whoever_follows_is_told_how_far_it_is(stage: World) -> None:
    # Given a rollout under way, at ten percent
    registered(stage)
    at = soon()
    stage.ledger.decide(1, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, at, approved=at)
    assert stage.ledger.note_rollout("o1", weight=10, bakes_until=at, saw="scores not compared")
    told: list[str] = []

    def tell(said: str) -> None:
        told.append(said)
        assert stage.ledger.end_rollout("o1", "rolled back", "an alarm", at, None)

    # When it is followed to its end, then that was said on the way
    assert wait_for_rollout(Target(project_root(), "dev", MODEL), 1, at, report=tell) == ("rolled back", "an alarm")
    assert re.fullmatch(r"version 1 gets 10%, \d:\d\d to go; scores not compared", told[0])


def test_the_last_of_several_people_sees_it_go_live(stage: World, command: Command) -> None:
    # Given one has approved before, and after this approval the rollout ends
    registered(stage)
    decided(stage, LONG_AGO, "counted", counted="1 of 2 approvals")
    live(stage, 1, soon())
    # When the other one approves
    said = command("approve", "--version", "1", "--reason", "good")
    # Then it is live
    assert (said.code, "live: serves" in said.out) == (0, True), said


def test_a_version_that_is_live_already(stage: World, command: Command) -> None:
    # Given version 1 is approved and live
    arn = registered(stage)
    Registry(stage.group).set_status(arn, "Approved", "good")
    live(stage, 1, LONG_AGO)
    # When it is approved again, then that is said at once and the registry stays as it is
    said = command("approve", "--reason", "again")
    assert (said.code, "version 1 of flight-delay is approved and live already" in said.out) == (0, True)
    assert Registry(stage.group).describe(arn).description == "good"


def test_a_version_whose_place_was_taken(stage: World, command: Command) -> None:
    # Given version 1 was live before version 2
    arns = [registered(stage, number) for number in (1, 2)]
    Registry(stage.group).set_status(arns[0], "Approved", "good")
    live(stage, 1, LONG_AGO)
    live(stage, 2, LONG_AGO.replace("00:00:00", "00:00:01"))
    # When it is approved again, then what brings it back is named
    said = command("approve", "--version", "1", "--reason", "again")
    assert (said.code, "`penstock rollback flight-delay --to 1 --reason …` brings it back" in said.err) == (2, True)


def test_an_approval_whose_rollout_is_under_way_is_followed_by_whoever_repeats_it(
    stage: World, command: Command
) -> None:
    # Given version 1 was approved, and its rollout failed
    arn = registered(stage)
    Registry(stage.group).set_status(arn, "Approved", "good")
    stage.ledger.decide(1, LONG_AGO, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, LONG_AGO, approved=LONG_AGO)
    assert stage.ledger.end_rollout("o1", "failed", "no golden example agreed", LONG_AGO, None)
    # When it is approved once more, then its end is what is said
    said = command("approve", "--reason", "again")
    assert (said.code, "failed: no golden example agreed" in said.out) == (1, True), said


def test_a_rollout_has_the_last_word(stage: World, command: Command) -> None:
    # Given a rollout that set its version back before it ended
    registered(stage)
    target, at = Target(project_root(), "dev", MODEL), soon()
    stage.ledger.decide(1, at, approved=True, decision="approved", by=ANNA, reason="good")
    assert stage.ledger.open_rollout("o1", 1, at, approved=at)
    decided(stage, at, "set back", reason="an alarm")
    # When it has ended, then its own ending is what is said
    assert stage.ledger.end_rollout("o1", "rolled back", "version 1 was taken back: an alarm", at, None)
    assert wait_for_rollout(target, 1, at, patience=0) == ("rolled back", "version 1 was taken back: an alarm")
    # And of another approval nothing is known
    with pytest.raises(NoRecordError, match="rollout of version 1 after 0 s"):
        wait_for_rollout(target, 1, soon(120), patience=0)
