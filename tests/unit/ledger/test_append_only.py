"""Decisions, rollouts and forgettings stay as they were written, whatever is written to the ledger afterwards."""

from typing import Any

import pytest

from penstock.ledger.ledger import Ledger, StaleError
from tests.support.world import World

APPEND_ONLY = ("approval#", "forgotten#", "rollout#")
T1, T2, T3 = "2026-01-01T00:00:01.000+00:00", "2026-01-01T00:00:02.000+00:00", "2026-01-01T00:00:03.000+00:00"
STEPS = [
    ("decide", 1, T1, "approved"), ("decide", 1, T1, "refused"), ("put_approval", 1, T1, "refused"),
    ("put_approval", 2, T1, "refused"), ("decide", 2, T1, "refused"), ("decide", 1, T2, "approved"),
    ("open_rollout", 1, T1, "a"), ("open_rollout", 2, T1, "a"), ("end_rollout", 1, T1, "live"),
    ("end_rollout", 1, T2, "failed"), ("open_rollout", 1, T2, "a"), ("decide", 2, T2, "approved"),
    ("open_rollout", 2, T2, "b"), ("end_rollout", 2, T2, "live"), ("open_rollback", 1, T2, "b"),
    ("open_rollback", 1, T1, "c"), ("open_rollback", 1, T3, "c"), ("decide", 2, T3, "rolled back"),
    ("end_rollout", 1, T2, "rolled back"),
    ("end_rollout", 1, T1, "live"), ("open_rollback", 1, T1, "c"), ("forget", 1, T1, ""), ("forget", 1, T1, ""),
    ("run", 1, T1, ""), ("run", 1, T2, ""),
]  # fmt: skip
"""Every write, and each again with other content at the same moment or under the same name."""


def append_only(world: World) -> dict[str, Any]:
    """The records that may only be added."""
    items = {item["sk"]["S"]: item for item in world.records()}
    return {name: item for name, item in items.items() if name.startswith(APPEND_ONLY)}


def act(ledger: Ledger, step: tuple[str, int, str, str], count: int) -> None:
    """Make one write, as the functions and the command do; a refused one is ignored."""
    kind, version, at, word = step
    if kind == "decide":
        ledger.decide(version, at, approved=word == "approved", decision=word, by="alice", reason=str(count))
    if kind == "put_approval":
        ledger.put_approval(version, at, decision=word, by="alice", reason=str(count))
    if kind == "open_rollout":
        ledger.open_rollout(word, version, at, approved=ledger.version(version).get("approved"), arn="a", sha256="s")
    if kind == "open_rollback":
        to = ledger.version(version)
        live = ledger.live()
        if to.get("approved") and live:
            ledger.open_rollback(word, to, live["version"], at, opened=at, by="bob", reason=str(count))
    if kind == "end_rollout":
        _end(ledger, at, word, count)
    if kind == "forget":
        _forget(ledger, at, count)
    if kind == "run":
        ledger.note_trained("d1", "c1", f"run{count}")
        ledger.put_version(version, run=f"run{count}", arn="a", sha256="s")


def _end(ledger: Ledger, at: str, outcome: str, count: int) -> None:
    for rollout in ledger.rollouts():  # those that have ended are ended again, as a repeated step does
        live = {"version": rollout["version"], "sha256": "s", "lambda_version": "1"} if outcome == "live" else None
        ledger.end_rollout(rollout["id"], outcome, str(count), at, live)


def _forget(ledger: Ledger, at: str, count: int) -> None:
    holder = f"forgetting-{count}"
    ledger.begin_forgetting(holder, at)
    try:
        ledger.end_forgetting(holder, {"at": at, "token": "t", "by": str(count)})
    except StaleError:
        return


def test_records_are_only_added(world: World) -> None:
    # Given a model with three versions
    ledger = world.ledger
    for version in (1, 2, 3):
        ledger.put_version(version, arn="a", run="r", sha256="s")
    before = append_only(world)
    for count, step in enumerate(STEPS):
        # When anything is written
        act(ledger, step, count)
        # Then every record is as it was; only an open rollout gets its ending
        after = append_only(world)
        for name, item in before.items():
            open_before = item.get("state") == {"S": "open"}
            ending = {"state", "outcome", "reason", "ended"} if open_before else set()
            assert {key: after[name].get(key) for key in item if key not in ending} == {
                key: value for key, value in item.items() if key not in ending
            }
        before = after
    kinds = [name.partition("#")[0] for name in before]
    assert {kind: kinds.count(kind) for kind in kinds} == {"approval": 7, "forgotten": 1, "rollout": 3}


def test_a_decision_is_not_overwritten_by_another_of_the_same_moment(world: World) -> None:
    world.ledger.put_version(1, run="r")
    world.ledger.decide(1, "t1", approved=True, decision="approved", by="alice", reason="good")
    world.ledger.decide(1, "t1", approved=False, decision="refused", by="alice", reason="good", refusal="too old")
    world.ledger.decide(1, "t1", approved=True, decision="approved", by="mallory", reason="other")
    assert [(item["decision"], item["by"]) for item in world.ledger.approvals(1)] == [
        ("approved", "alice"), ("refused", "alice"),
    ]  # fmt: skip


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_effect_of_a_decision_is_written_by_the_next_event(world: World, *, lost: bool) -> None:
    # Given the record of a decision exists, and a crash prevented the write of its effect
    world.ledger.put_version(1, run="r")
    if lost:
        world.ledger.put_approval(1, "t1", decision="refused", by="alice", reason="good", refusal="too old")
    # When it is decided again
    world.ledger.decide(1, "t1", approved=False, decision="refused", by="alice", reason="good", refusal="too old")
    # Then the version has it, and one record stands
    assert world.ledger.version(1)["decision"] == "refused"
    assert len(world.ledger.approvals(1)) == 1
