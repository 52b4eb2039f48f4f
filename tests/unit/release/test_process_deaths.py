"""A process that dies within a decision, a start or an ending, at any of its calls."""

from dataclasses import replace
from typing import Any

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED
from penstock.aws.s3_store import sha256
from penstock.events import ExecutionEnded
from penstock.release.authorization import Authorization
from penstock.release.live_service import Serving
from penstock.spec.model import ModelSpec
from tests.support.office import ALICE, FILE, FakeRegistry, FakeService, Office
from tests.support.world import NOW, World, execution_ended


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec, FakeService())


class DiedError(Exception):
    """The process is gone."""


def dying(part: Any, after: str) -> Any:
    """A part of the authorization; the process dies after one of its methods."""

    class Dying:
        def __getattr__(self, name: str) -> Any:
            def last(*arguments: Any, **options: Any) -> None:
                getattr(part, name)(*arguments, **options)
                raise DiedError(name)

            return last if name == after else getattr(part, name)

    return Dying()


def dies(office: Office, part: str, after: str) -> Authorization:
    authorization = office.authorization
    return replace(authorization, **{part: dying(getattr(authorization, part), after)})


@pytest.mark.parametrize(
    ("part", "after"),
    [
        ("registry", "describe"),
        ("ledger", "version"),
        ("ledger", "versions"),
        ("ledger", "decide"),
        ("ledger", "holder"),
        ("ledger", "open_rollout"),
        ("ledger", "rollout"),
        ("executions", "start"),
    ],
)
def test_an_approval_is_completed_after_its_process_died(office: Office, part: str, after: str) -> None:
    # Given the process dies somewhere in an approval
    arn = office.version(1)
    with pytest.raises(DiedError):
        dies(office, part, after).handle_change(arn, NOW)
    # When the event comes again, twice
    for _ in range(2):
        office.handle(arn)
    # Then it is as if it had not
    assert office.rolled_out() == [1]
    assert office.world.ledger.holder("rollout") == office.rollouts()[0]["name"]
    assert office.decisions(1) == [("approved", ALICE)]
    version = office.world.ledger.version(1)
    assert version["approved"] == version["rolled_out"]


@pytest.mark.parametrize(
    ("part", "after"),
    [("ledger", "put_approval"), ("notifier", "send"), ("registry", "set_status"), ("ledger", "decide")],
)
def test_a_refusal_is_completed_after_its_process_died(office: Office, part: str, after: str) -> None:
    arn = office.version(1, description="")
    with pytest.raises(DiedError):
        dies(office, part, after).handle_change(arn, NOW)
    for _ in range(2):
        office.handle(arn)
    assert office.rolled_out() == []
    assert office.decisions(1) == [("refused", ALICE)]
    assert office.registry.packages[arn].status == PENDING
    assert {notice["subject"] for notice in office.world.notices()} == {"flight-delay: approval of version 1 refused"}


@pytest.mark.parametrize(
    ("part", "after"),
    [("ledger", "put_approval"), ("notifier", "send"), ("registry", "set_status"), ("ledger", "decide")],
)
def test_a_refusal_of_a_waiting_version_is_completed_after_its_process_died(
    office: Office, part: str, after: str
) -> None:
    # Given version 2 waits behind a rollout, and is overtaken by version 3
    office.handle(office.version(1))
    office.handle(office.version(2))
    office.version(3, status=PENDING)
    first = office.rollouts()[0]["name"]
    live = {"version": 1, "sha256": sha256(FILE), "lambda_version": "1"}
    office.world.ledger.end_rollout(first, "live", "serves", "t", live)
    # When the process dies while it refuses it, and the event of the rollout's end comes again
    event = ExecutionEnded.parse(execution_ended(office.world.rollout, first, "SUCCEEDED"))
    with pytest.raises(DiedError):
        dies(office, part, after).handle_rollout_end(event, NOW)
    office.end(first, "SUCCEEDED")
    office.handle("arn:package/2")
    # Then it is refused, in the ledger and in the registry, and a notice was sent
    assert office.rolled_out() == [1]
    package = office.registry.packages["arn:package/2"]
    words = "refused: version 3 is newer: approve that one, or reject it first"
    assert (package.status, package.description) == (PENDING, words)
    assert office.world.ledger.version(2)["approved"] is None
    last = office.world.ledger.approvals(2)[-1]
    assert words.removeprefix("refused: ") in (last.get("refusal") or last["reason"])
    assert {notice["subject"] for notice in office.world.notices()} == {"flight-delay: approval of version 2 refused"}


@pytest.mark.parametrize("after", ["version", "decide", "holder"])
def test_a_rejection_is_completed_after_its_process_died(office: Office, after: str) -> None:
    office.handle(office.version(1))
    arn = office.version(2)
    office.handle(arn)
    office.decide(2, REJECTED, minute=1)
    with pytest.raises(DiedError):
        dies(office, "ledger", after).handle_change(arn, NOW)
    office.handle(arn)
    office.go_live(office.rollouts()[0]["name"], 1)
    assert office.rolled_out() == [1]
    assert office.decisions(2) == [("approved", ALICE), ("rejected", ALICE)]


@pytest.mark.parametrize(
    ("part", "after"),
    [
        ("ledger", "rollout"),
        ("service", "live"),
        ("registry", "describe"),
        ("registry", "set_status"),
        ("ledger", "end_rollout"),
        ("ledger", "holder"),
    ],
)
@pytest.mark.parametrize("lambda_has", [None, 1], ids=["the old", "the new"])
def test_a_rollout_is_closed_despite_a_process_that_died(
    office: Office, part: str, after: str, lambda_has: int | None
) -> None:
    # Given a rollout whose execution was stopped
    office.handle(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.stop(rollout)
    office.service.serving = Serving("7", lambda_has, sha256(FILE))
    # When the process dies while it settles it (it reads the registry only where the old version serves)
    event = ExecutionEnded.parse(execution_ended(office.world.rollout, rollout, "ABORTED", "power cut"))
    if lambda_has and part == "registry":
        dies(office, part, after).handle_rollout_end(event, NOW)
    else:
        with pytest.raises(DiedError):
            dies(office, part, after).handle_rollout_end(event, NOW)
    # And the event comes again, twice
    for _ in range(2):
        office.end(rollout, "ABORTED", "power cut")
    # Then ledger and registry say the same, once
    outcome = office.world.ledger.rollout(rollout)["outcome"]
    live = office.world.ledger.live()
    status = office.registry.packages["arn:package/1"].status
    assert (outcome, status) == (("live", APPROVED) if lambda_has else ("failed", PENDING))
    assert (live["version"] if live else None) == lambda_has
    assert office.rolled_out() == [1]
