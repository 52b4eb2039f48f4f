"""Approvals, rejections, rollbacks, new versions, ends of rollouts and process deaths in any order: no unsafe end."""

from collections import Counter
from collections.abc import Iterator

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Package
from penstock.ledger.ledger import Record, timestamp
from penstock.spec.model import ModelSpec
from tests.support.schedules import ALLOWED, Live, Schedule

SCHEDULES, BLOCKS = 600, 10
ENDS_A_COUNT = {"rejected", "set back", "rolled back"}
WORDS = {"approved": "reason", "counted": "counted", "refused": "refusal"}
STATUSES = {"approved": APPROVED, "rejected": REJECTED, "rolled back": REJECTED}


def is_approved(decisions: list[Record], required: int) -> bool:
    """Count anew whether a version is approved by as many different people as are required, all of whom may."""
    people: set[str] = set()
    approved = False
    for item in decisions:
        decision = item["decision"]
        if decision in {"counted", "approved"}:
            assert item["by"] in ALLOWED, f"{item['by']} approved"
            assert item["reason"], "approved without a reason"
            people |= {item["by"]}
        if decision == "approved":
            if "rollback" in item:
                assert approved, "rolled back to a version that was not approved"
            else:
                assert len(people) >= required, f"{len(people)} of {required} approved"
            approved, people = True, set()
        elif decision in ENDS_A_COUNT:
            approved, people = False, set()
    return approved


def check_step(schedule: Schedule) -> None:
    """Check what must hold at every moment."""
    assert len(schedule.rollouts.running) <= 1, "two rollouts at once"
    rollouts = schedule.records("rollout#")
    opened = [item["id"] for item in rollouts if item["state"] == "open"]
    holders = [item["holder"] for item in schedule.records("lock#rollout")]
    assert opened == holders, "an open rollout and who holds the lock differ"
    for number in range(1, len(schedule.registry.packages) + 1):
        is_approved(schedule.decisions(number), schedule.required)
    for document in schedule.rollouts.running.values():
        assert document["rollout"] in opened, "a rollout runs that nobody opened"
    check_requests(schedule, rollouts)
    while schedule.reactions:
        package, decision = schedule.reactions.pop()
        if STATUSES.get(decision, PENDING) != package.status:
            check_recorded(schedule, package)


def check_recorded(schedule: Schedule, package: Package) -> None:
    """Check that a change that was new to the ledger is a decision by its author in the registry."""
    decisions = schedule.decisions(package.version)
    authors = {item["by"] for item in decisions if item["at"] == timestamp(package.changed)}
    assert authors == {package.changed_by}, f"{package.changed_by} decided about version {package.version}: {authors}"


def check_requests(schedule: Schedule, rollouts: list[Record]) -> None:
    """Check that a processed rollback request is recorded: granted with its rollout, or refused with a sentence."""
    while schedule.requests:
        request = schedule.requests.pop()
        records = schedule.decisions(request.to)
        matches = [item for item in records if item["at"] == request.at and item.get("rollback") == request.version]
        if not matches:  # the same was granted before: an edit of something else
            withdrawals = [
                item for item in schedule.decisions(request.version) if item.get("rollback_to") == request.to
            ]
            assert request.reason in {item["reason"] for item in withdrawals}, f"{request} was swallowed"
            continue
        (record,) = matches
        assert record["by"] == request.by
        if record["decision"] == "approved":
            assert request.by in ALLOWED
            assert any((item["version"], item.get("rolls_back")) == (request.to, request.version) for item in rollouts)
        else:
            assert record["decision"] == "refused", record
            assert record["refusal"], "refused without a sentence"


def check_live(schedule: Schedule, live: Live) -> None:
    """Check that what went live was approved by those who may, not rejected since, and has the registered file."""
    assert live.package.approved, f"version {live.number} went live though the registry had it as {live.package.status}"
    assert is_approved(live.decisions, schedule.required), f"version {live.number} went live after it was rejected"
    assert live.sha256 == schedule.ledger.version(live.number)["sha256"], "another file went live"


def check_end(schedule: Schedule) -> None:
    """Check what must hold when nothing more happens."""
    assert schedule.ledger.holder("rollout") is None, "a rollout that nobody ended"
    for rollout in schedule.ledger.rollouts():
        assert rollout["outcome"] in {"live", "rolled back", "failed"}
        assert rollout["reason"], "an ending without a reason"
    live, serving = schedule.ledger.live(), schedule.service.serving
    assert (live["version"], live["sha256"]) == (serving.version, serving.sha256) if live else serving.version is None
    for package in schedule.registry.packages.values():
        about = schedule.ledger.version(package.version)
        expected = STATUSES.get(str(about.get("decision")), PENDING)
        assert package.status == expected, f"version {package.version}: {about.get('decision')}, not so in the registry"
        decisions = schedule.decisions(package.version)
        assert all(item.get(WORDS[item["decision"]]) for item in decisions if item["decision"] in WORDS)


def run_schedule(seed: int, spec: ModelSpec) -> Iterator[Schedule]:
    """Run a schedule; it is yielded after each of its steps."""
    schedule = Schedule(seed, spec)
    for _ in schedule.steps():
        yield schedule


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_interleaving_of_approvals_ends_safely(spec: ModelSpec, block: int) -> None:
    """Check after every step of every schedule.

    - At most one rollout is open, it holds the lock, and no other runs.
    - Approvers may approve and gave a reason, and as many different people as required have approved since the version
      was last rejected, set back or rolled back.
    - What goes live has the registered file, and neither ledger nor registry had it as rejected since it was approved.
      (A rejection that is overwritten in the registry before its event is processed is lost; see decision 0016.)
    - A rollback goes to a version that is approved, or is refused with a sentence; it is ignored only where the same
      was granted before.
    - Every decision is recorded, with who and why; in the end ledger, registry and service say the same.
    """
    happened: Counter[str] = Counter()
    for seed in range(block * SCHEDULES // BLOCKS, (block + 1) * SCHEDULES // BLOCKS):
        schedule, checked = None, 0
        try:
            for schedule in run_schedule(seed, spec):
                check_step(schedule)
                for live in schedule.live[checked:]:
                    check_live(schedule, live)
                checked = len(schedule.live)
            assert schedule is not None
            check_end(schedule)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        happened.update(schedule.counts)
        happened.update("granted" for item in schedule.ledger.rollouts() if "rolls_back" in item)
        happened.update("refused" for subject in schedule.notices.subjects if "rollback refused" in subject)
    # The schedules cover every kind of event
    assert min(happened[name] for name in ("live", "granted", "refused", "crash", "meanwhile")) > 20, happened
