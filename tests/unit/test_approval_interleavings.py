"""Approvals, rejections, new versions, ends of rollouts and lost processes, in any order: never an unsafe end."""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.authorize.authorization import Authorization
from penstock.events import ExecutionEnded
from penstock.executions import Ended
from penstock.lake import Lake
from penstock.registry import APPROVED, PENDING, REJECTED, Package
from penstock.settings import AuthorizeSettings
from penstock.spec import Approval, ModelSpec
from penstock.store import sha256
from tests.unit.crashing_cloud import Cloud, CrashError
from tests.unit.test_authorize import FakeRegistry, FakeService
from tests.unit.world import BUCKET, MODEL, NOW, STAGE, TABLE

SCHEDULES, STEPS = 600, 60
ANNA, BOB, MALLORY = (f"arn:aws:iam::123456789012:user/{name}" for name in ("anna", "bob", "mallory"))
ALLOWED = {ANNA, BOB}
FILE = b"the model file"


@dataclass
class Rollouts:
    """The rollout's state machine: starts by name, once, and ends when the schedule says so."""

    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    most: int = 0

    def start(self, name: str, document: dict[str, Any]) -> Ended | None:
        if name in self.ended:
            return self.ended[name]
        self.running.setdefault(name, document)
        self.most = max(self.most, len(self.running))
        return None


class Told:
    def tell(self, _subject: str, _text: str) -> None:
        return None


@dataclass
class Schedule:
    """One seeded story of a model."""

    seed: int
    spec: ModelSpec
    cloud: Cloud = field(default_factory=lambda: Cloud({}, [], set()))
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    rollouts: Rollouts = field(default_factory=Rollouts)
    service: FakeService = field(default_factory=FakeService)
    waiting: list[str] = field(default_factory=list)
    """Events that were not delivered yet, in any order: package ARNs, and `rollout <name>`."""
    live: list[tuple[int, datetime]] = field(default_factory=list)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a schedule, no secret
        approvers = 1 + self.seed % 2
        policy = Approval(who=["*:user/anna", "*:user/bob"], approvers=approvers)
        settings: Any = AuthorizeSettings(
            stage=STAGE, model=MODEL, bucket=BUCKET, ledger=TABLE, topic="t", group="g", rollout="r", function="f",
            capture="c",
        )  # fmt: skip
        self.ledger, self.store, self.lake = self.cloud.ledger(), self.cloud.store(), Lake(BUCKET, MODEL)
        parts: dict[str, Any] = {
            "registry": self.registry,
            "notifier": Told(),
            "executions": self.rollouts,
            "service": self.service,
        }
        self.authorization = Authorization(
            settings=settings,
            spec=self.spec.model_copy(update={"approval": policy}),
            lake=self.lake,
            store=self.store,
            ledger=self.ledger,
            **parts,
        )
        self.wanted = approvers
        self.store.write(self.lake.model_file(sha256(FILE), "model.onnx"), FILE)
        self.new_version()

    # What may happen

    def new_version(self) -> None:
        number = len(self.registry.packages) + 1
        arn = f"arn:package/{number}"
        self.registry.packages[arn] = Package(arn, number, PENDING, "", "", self.now, self.now, "run")
        self.ledger.put_version(number, arn=arn, run="run", sha256=sha256(FILE))
        self.waiting.append(arn)

    def decide(self) -> None:
        arns = list(self.registry.packages)
        arn = arns[-1] if self.random.random() < 0.6 else self.random.choice(arns)
        status = self.random.choice([APPROVED] * 6 + [REJECTED, PENDING])
        who = self.random.choice([ANNA, BOB] * 3 + [MALLORY])
        reason = self.random.choice(["good"] * 5 + [""])
        for _ in range(20 if self.random.random() < 0.1 else 1):
            known = self.registry.packages[arn]
            about: dict[str, Any] = {"status": status, "changed": self.now, "changed_by": who, "description": reason}
            self.registry.packages[arn] = replace(known, **about)
            self.waiting.append(arn)

    def deliver(self) -> None:
        if not self.waiting:
            return
        event = self.waiting.pop(self.random.randrange(len(self.waiting)))
        if self.random.random() < 0.2:
            self.waiting.append(event)  # at least once
        if self.random.random() < 0.25:
            fault = self.random.choice(["before", "after"])
            self.cloud.plan = {self.cloud.calls + self.random.randint(1, 12): fault}  # type: ignore[dict-item]
        try:
            self.tell(event)
        except CrashError:
            self.waiting.append(event)
        self.cloud.plan = {}

    def tell(self, event: str) -> None:
        if event.startswith("rollout "):
            name = event.removeprefix("rollout ")
            ended = self.rollouts.ended[name]
            self.authorization.rollout_ended(ExecutionEnded("r", name, ended.status, ended.cause), self.now)
        else:
            self.authorization.changed(event, self.now)

    def end_rollout(self) -> None:
        if not self.rollouts.running:
            return
        name, document = self.rollouts.running.popitem()
        number, arn = document["package"], document["package_arn"]
        fine = self.random.random() < 0.7 and self.registry.packages[arn].approved  # the machine asks once more
        if fine:
            self.service.serving = replace(
                self.service.serving, lambda_version=str(number), version=number, sha256=sha256(FILE)
            )
            self.live.append((number, self.now))
        if self.random.random() < 0.7:  # otherwise it died before its last step
            live = {"version": number, "sha256": sha256(FILE), "lambda_version": str(number)} if fine else None
            if not fine and self.registry.packages[arn].approved:
                self.registry.set_status(arn, PENDING, "taken back")
                self.waiting.append(arn)
            self.ledger.end_rollout(name, "live" if fine else "rolled back", "the test", self.now.isoformat(), live)
        self.rollouts.ended[name] = Ended("SUCCEEDED" if fine else "FAILED", "")
        self.waiting.append(f"rollout {name}")

    def run(self) -> None:
        actions = [self.new_version] + [self.decide] * 4 + [self.deliver] * 8 + [self.end_rollout] * 2
        for _ in range(STEPS):
            self.now += timedelta(seconds=1)
            self.random.choice(actions)()
            self.check()
        while self.waiting or self.rollouts.running:
            self.now += timedelta(seconds=1)
            event = self.waiting.pop() if self.waiting else None
            if event:
                self.tell(event)
            else:
                self.end_rollout()
            self.check()
        # What has its last word in the registry is told once more, as an operator's edit would.
        for arn in self.registry.packages:
            self.authorization.changed(arn, self.now)
        while self.rollouts.running:
            self.end_rollout()
            while self.waiting:
                self.tell(self.waiting.pop())

    # What must hold

    def check(self) -> None:
        assert self.rollouts.most <= 1, "two rollouts at once"
        for document in self.rollouts.running.values():
            self.check_approved(document["package"])

    def check_approved(self, number: int) -> None:
        """It is approved by as many different people as are wanted, and all of them may."""
        decisions = self.ledger.approvals(number)
        given = {item["by"] for item in decisions if item["decision"] in {"approved", "counted"}}
        assert given <= ALLOWED
        assert len(given) >= self.wanted
        assert any(item["decision"] == "approved" and item["reason"] for item in decisions)

    def check_end(self) -> None:
        assert self.ledger.holder("rollout") is None, "a rollout that nobody ended"
        assert all(item["state"] == "ended" for item in self.ledger.rollouts())
        for package in self.registry.packages.values():
            decision = self.ledger.version(package.version).get("decision")
            expected = {"approved": APPROVED, "rejected": REJECTED}.get(str(decision), PENDING)
            assert package.status == expected, f"version {package.version}: {decision}, the registry says otherwise"
        live, serving = self.ledger.live(), self.service.serving.version
        assert (live["version"] if live else None) == serving
        for number, _ in self.live:
            self.check_approved(number)
        for (before, _), (after, _) in zip(self.live, self.live[1:], strict=False):
            if after < before:  # going back, which only a rejection of what was newer allows
                between = range(after + 1, before + 1)
                assert all(self.was_rejected(n) for n in between), f"{after} after {before} went live"

    def was_rejected(self, number: int) -> bool:
        return "rejected" in {item["decision"] for item in self.ledger.approvals(number)}


@pytest.mark.parametrize("block", range(10))
def test_no_unsafe_end(spec: ModelSpec, block: int) -> None:
    rolled_out = 0
    for seed in range(block * SCHEDULES // 10, (block + 1) * SCHEDULES // 10):
        schedule = Schedule(seed, spec)
        try:
            schedule.run()
            schedule.check_end()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        rolled_out += len(schedule.live)
    assert rolled_out > 20  # the schedules do something
