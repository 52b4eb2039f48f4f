"""Approvals, rejections, rollbacks, new versions, ends of rollouts and lost processes, in any order: no unsafe end."""

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


def granted(decisions: list[Record], wanted: int) -> bool:
    """Whether a version is approved by as many different people as are wanted, all of whom may: counted anew here."""
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
                assert len(people) >= wanted, f"{len(people)} of {wanted} approved"
            approved, people = True, set()
        elif decision in ENDS_A_COUNT:
            approved, people = False, set()
    return approved


def check_step(schedule: Schedule) -> None:
    """What must hold at every moment."""
    assert len(schedule.rollouts.running) <= 1, "two rollouts at once"
    rollouts = schedule.records("rollout#")
    opened = [item["id"] for item in rollouts if item["state"] == "open"]
    holders = [item["holder"] for item in schedule.records("lock#rollout")]
    assert opened == holders, "an open rollout and who holds the lock differ"
    for number in range(1, len(schedule.registry.packages) + 1):
        granted(schedule.decisions(number), schedule.wanted)
    for document in schedule.rollouts.running.values():
        assert document["rollout"] in opened, "a rollout runs that nobody opened"
    check_heard(schedule, rollouts)
    while schedule.looked:
        package, decided = schedule.looked.pop()
        if STATUSES.get(decided, PENDING) != package.status:
            check_recorded(schedule, package)


def check_recorded(schedule: Schedule, package: Package) -> None:
    """A change that the ledger did not know is a decision of it, by whom the registry says."""
    decisions = schedule.decisions(package.version)
    found = {item["by"] for item in decisions if item["at"] == timestamp(package.changed)}
    assert found == {package.changed_by}, f"{package.changed_by} decided about version {package.version}: {found}"


def check_heard(schedule: Schedule, rollouts: list[Record]) -> None:
    """A rollback that was heard is recorded: as granted, with its rollout, or as refused, with a sentence."""
    while schedule.heard:
        asked = schedule.heard.pop()
        records = schedule.decisions(asked.to)
        found = [item for item in records if item["at"] == asked.at and item.get("rollback") == asked.version]
        if not found:  # the same was granted before: an edit of something else
            taken = [item for item in schedule.decisions(asked.version) if item.get("rollback_to") == asked.to]
            assert asked.reason in {item["reason"] for item in taken}, f"{asked} was swallowed"
            continue
        (record,) = found
        assert record["by"] == asked.by
        if record["decision"] == "approved":
            assert asked.by in ALLOWED
            assert any((item["version"], item.get("rolls_back")) == (asked.to, asked.version) for item in rollouts)
        else:
            assert record["decision"] == "refused", record
            assert record["refusal"], "refused without a sentence"


def check_live(schedule: Schedule, live: Live) -> None:
    """What went live was approved by who may, nobody had rejected it since, and its file is the registered one."""
    assert live.package.approved, f"version {live.number} went live though the registry had it as {live.package.status}"
    assert granted(live.decisions, schedule.wanted), f"version {live.number} went live after it was rejected"
    assert live.sha256 == schedule.ledger.version(live.number)["sha256"], "another file went live"


def check_end(schedule: Schedule) -> None:
    """What must hold when nothing more happens."""
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


def told(seed: int, spec: ModelSpec) -> Iterator[Schedule]:
    """A story, after each of its steps."""
    schedule = Schedule(seed, spec)
    for _ in schedule.steps():
        yield schedule


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_unsafe_end(spec: ModelSpec, block: int) -> None:
    """Held after every step of every story.

    - At most one rollout is open, it holds the lock, and no other runs.
    - Who approved may approve, gave a reason, and so many different people did as are wanted, since the version was
      last rejected, set back or rolled back.
    - What goes live has the registered file, and neither ledger nor registry had it as rejected since it was approved.
      (A rejection that somebody overwrites in the registry before it is heard is lost; see decision 0016.)
    - A rollback goes to a version that is approved, or is refused with a sentence; it is swallowed only where the same
      was granted before.
    - Every decision is recorded, with who and why; in the end ledger, registry and service say the same.
    """
    happened: Counter[str] = Counter()
    for seed in range(block * SCHEDULES // BLOCKS, (block + 1) * SCHEDULES // BLOCKS):
        schedule, checked = None, 0
        try:
            for schedule in told(seed, spec):
                check_step(schedule)
                for live in schedule.live[checked:]:
                    check_live(schedule, live)
                checked = len(schedule.live)
            assert schedule is not None
            check_end(schedule)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        happened.update(schedule.said)
        happened.update("granted" for item in schedule.ledger.rollouts() if "rolls_back" in item)
        happened.update("refused" for asked in schedule.told.subjects if "rollback refused" in asked)
    # The stories do something
    assert min(happened[name] for name in ("live", "granted", "refused", "crash", "meanwhile")) > 20, happened
