"""Seeded schedules of a model's approvals and rollbacks: who acts, when events come, and where processes die.

A registry with a clock, whose every change is an event that comes late, twice and in any order; rollouts that end when
the schedule says so; and processes that die at any of their calls, or while somebody else acts.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from penstock.aws.executions import ExecutionOutcome
from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Package
from penstock.aws.s3_store import sha256
from penstock.events import ExecutionEnded
from penstock.lake import Lake
from penstock.ledger.ledger import NoRecordError, timestamp
from penstock.release import rollback
from penstock.release.authorization import Authorization
from penstock.release.live_service import Serving
from penstock.release.rollback import RollbackError
from penstock.settings import AuthorizeSettings
from penstock.spec.model import Approval, ModelSpec
from tests.support.crashing_cloud import Cloud, CrashError
from tests.support.office import MACHINE, FakeRegistry, FakeService
from tests.support.world import BUCKET, MODEL, NOW, STAGE, TABLE

STEPS = 60
ANNA, BOB, MALLORY = (f"arn:aws:iam::123456789012:user/{name}" for name in ("anna", "bob", "mallory"))
ALLOWED = {ANNA, BOB}
TWENTY = 20
"""Times that an impatient person repeats a change."""
MILLISECOND = timedelta(milliseconds=1)


class NoEndpoints:
    """Of a model that the predict function scores."""

    def sweep(self, _serving: object) -> list[str]:
        return []


@dataclass(frozen=True)
class RollbackRequest:
    """A rollback that somebody requested in the registry."""

    version: int
    to: int
    by: str
    reason: str
    at: str


@dataclass
class Registry(FakeRegistry):
    """A registry without two changes at one moment; each is kept and becomes an event."""

    cloud: Cloud = field(default_factory=lambda: Cloud({}, [], set()))
    now: datetime = NOW
    changes: dict[str, list[Package]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    def describe(self, arn: str) -> Package:
        return self.cloud.call(lambda: self.packages[arn])

    def set_status(self, arn: str, status: str, reason: str) -> None:
        self.cloud.call(lambda: self.change(arn, status, MACHINE, reason))

    def change(self, arn: str, status: str, by: str, reason: str) -> None:
        self.now += MILLISECOND
        package = self.packages[arn]
        self.keep(replace(package, status=status, changed=self.now, changed_by=by, description=reason))

    def keep(self, package: Package) -> None:
        self.packages[package.arn] = package
        self.changes.setdefault(package.arn, []).append(package)
        self.events.append(package.arn)


@dataclass
class Rollouts:
    """The rollout's state machine: starts by name, once, and ends when the schedule says so."""

    cloud: Cloud
    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, ExecutionOutcome] = field(default_factory=dict)

    def start(self, name: str, document: dict[str, Any]) -> ExecutionOutcome | None:
        return self.cloud.call(lambda: self._start(name, document))

    def _start(self, name: str, document: dict[str, Any]) -> ExecutionOutcome | None:
        if name not in self.ended:
            self.running.setdefault(name, document)
        return self.ended.get(name)


@dataclass
class Notices:
    """The notices to people."""

    subjects: list[str] = field(default_factory=list)

    def send(self, subject: str, _text: str) -> None:
        self.subjects.append(subject)


@dataclass
class Live:
    """A version that went live, with the ledger's decisions on it and the registry's record at that moment."""

    number: int
    sha256: str
    decisions: list[dict[str, Any]]
    package: Package


@dataclass
class Schedule:
    """One seeded schedule of a model."""

    seed: int
    spec: ModelSpec
    cloud: Cloud = field(default_factory=lambda: Cloud({}, [], set()))
    service: FakeService = field(default_factory=FakeService)
    notices: Notices = field(default_factory=Notices)
    live: list[Live] = field(default_factory=list)
    requests: list[RollbackRequest] = field(default_factory=list)
    """Rollback requests that authorize has processed to the end."""
    reactions: list[tuple[Package, str]] = field(default_factory=list)
    """Changes that it has processed to the end, each with the ledger's decision before."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often something happened."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a schedule, no secret
        self.registry, self.rollouts = Registry(cloud=self.cloud), Rollouts(self.cloud)
        self.cloud.go_on = self.meanwhile  # type: ignore[method-assign]
        self.required = 1 + self.seed % 2
        self.ledger, self.store, self.lake = self.cloud.ledger(), self.cloud.store(), Lake(BUCKET, MODEL)
        self.authorization = self._authorization()
        for _ in range(self.random.choice([0, 2, 3])):
            self.release_version()
        self.new_version()

    def _authorization(self) -> Authorization:
        policy = Approval(who=["*:user/anna", "*:user/bob"], approvers=self.required)
        settings = AuthorizeSettings(
            stage=STAGE, model=MODEL, bucket=BUCKET, ledger=TABLE, topic="t", group="g", rollout="r", function="f",
            capture="c",
        )  # fmt: skip
        fakes: dict[str, Any] = {
            "registry": self.registry,
            "notifier": self.notices,
            "executions": self.rollouts,
            "service": self.service,
            "endpoints": NoEndpoints(),
        }
        return Authorization(
            settings=settings,
            spec=self.spec.model_copy(update={"approval": policy}),
            lake=self.lake,
            store=self.store,
            ledger=self.ledger,
            **fakes,
        )

    # Actions

    def new_version(self) -> None:
        """Register a version with a file of its own."""
        number = len(self.registry.packages) + 1
        arn, file = f"arn:package/{number}", f"model file {number}".encode()
        self.store.write(self.lake.model_file(sha256(file), "model.onnx"), file)
        self.registry.now += MILLISECOND
        now = self.registry.now
        self.ledger.put_version(number, arn=arn, run="run", sha256=sha256(file), model_version_id=f"v{number}")
        self.registry.keep(Package(arn, number, PENDING, "", MACHINE, now, now, "run"))

    def release_version(self) -> None:
        """Register, approve and roll out a version, so that there is one to go back to."""
        self.new_version()
        arn = list(self.registry.packages)[-1]
        for person in (ANNA, BOB)[: self.required]:
            self.registry.change(arn, APPROVED, person, "good")
            self.authorization.handle_change(arn, self.registry.now)
        ((name, document),) = self.rollouts.running.items()
        self.go_live(document)
        self.last_step(name, document["package"], arn, fine=True)
        self.rollouts.ended[name] = ExecutionOutcome("SUCCEEDED", "")
        self.rollouts.running.clear()

    def overwrite_file(self) -> None:
        """Overwrite a version's model file."""
        if self.random.random() < 0.1:
            number = self.random.randint(1, len(self.registry.packages))
            digest = self.ledger.version(number)["sha256"]
            self.store.write(self.lake.model_file(digest, "model.onnx"), b"another file")

    def decide(self) -> None:
        """Approve, reject or set back in the registry, once or twenty times."""
        arns = list(self.registry.packages)
        arn = arns[-1] if self.random.random() < 0.6 else self.random.choice(arns)
        status = self.random.choice([APPROVED] * 6 + [REJECTED, PENDING])
        who = self.random.choice([ANNA, BOB] * 3 + [MALLORY])
        reason = self.random.choice(["good"] * 5 + [""])
        for _ in range(self.repetitions()):
            self.registry.change(arn, status, who, reason)

    def overrule(self) -> None:
        """Reject a version during its rollout, deliver that event, and approve it again before the rollout looks."""
        for document in list(self.rollouts.running.values()):
            arn = document["package_arn"]
            self.registry.change(arn, REJECTED, BOB, "bad")
            self.process(arn)
            self.registry.change(arn, APPROVED, self.random.choice([ANNA, MALLORY]), "good")

    def repetitions(self) -> int:
        return TWENTY if self.random.random() < 0.1 else 1

    def roll_back(self) -> None:
        """Run `penstock rollback`, which refuses an impossible rollback before it changes anything."""
        to = self.random.choice([None, self.random.randint(1, len(self.registry.packages))])
        try:
            live = int(rollback.require_live(self.ledger)["version"])
            back = int(rollback.find_target(self.ledger, live, to)["version"])
        except (RollbackError, NoRecordError):
            self.count("rollback refused by the command")
            return
        self.request_rollback(live, back)

    def roll_back_elsewhere(self) -> None:
        """Request a rollback in Studio, whatever the ledger says: of a version that is overtaken, under way …"""
        last = len(self.registry.packages)
        serving = self.service.serving.version
        version = serving if serving and self.random.random() < 0.7 else self.random.randint(1, last)
        self.request_rollback(version, self.random.randint(1, last + 1))

    def request_rollback(self, version: int, to: int) -> None:
        who = self.random.choice([ANNA, BOB] * 3 + [MALLORY])
        words = rollback.format_request(to, self.random.choice(["flights are late", "wrong again"]))
        for _ in range(self.repetitions()):
            self.registry.change(f"arn:package/{version}", REJECTED, who, words)

    def deliver(self) -> None:
        """Deliver an event, perhaps not for the last time, to a process that may die or not be alone."""
        if not self.registry.events:
            return
        event = self.registry.events.pop(self.random.randrange(len(self.registry.events)))
        if self.random.random() < 0.2:
            self.registry.events.append(event)  # at least once
        if not self.cloud.depth and self.random.random() < 0.35:
            fault = self.random.choice(["before", "after", "meanwhile"])
            self.cloud.plan = {self.cloud.calls + self.random.randint(1, 20): fault}  # type: ignore[dict-item]
        try:
            self.process(event)
        except CrashError:
            self.count("crash")
            self.registry.events.append(event)
        if not self.cloud.depth:
            self.cloud.plan = {}

    def process(self, event: str) -> None:
        if event.startswith("rollout "):
            name = event.removeprefix("rollout ")
            ended = self.rollouts.ended[name]
            self.authorization.handle_rollout_end(
                ExecutionEnded("r", name, ended.status, ended.cause), self.registry.now
            )
            return
        package, decision = self.registry.packages[event], self.decision(event)
        self.authorization.handle_change(event, self.registry.now)
        changes = self.registry.changes[event]
        if any(change.changed_by != MACHINE for change in changes[changes.index(package) + 1 :]):
            return  # somebody changed it again meanwhile, and that has an event of its own
        self.reactions.append((package, decision))
        if request := rollback.read_request(package):
            by, at = package.changed_by, timestamp(package.changed)
            self.requests.append(RollbackRequest(package.version, request.to, by, request.reason, at))

    def decision(self, arn: str) -> str:
        """The ledger's decision on a version, read past the planned faults."""
        return str(self.version(self.registry.packages[arn].version).get("decision") or "")

    def version(self, number: int) -> dict[str, Any]:
        return self.cloud.items[f"version#{number:06d}"]

    def decisions(self, number: int) -> list[dict[str, Any]]:
        """The decisions on a version, oldest first."""
        return self.records(f"approval#{number:06d}#")

    def records(self, start: str) -> list[dict[str, Any]]:
        """The ledger's records of a kind, read without its own code and past the planned faults."""
        return [self.cloud.items[name] for name in sorted(name for name in self.cloud.items if name.startswith(start))]

    def meanwhile(self) -> bool:
        """Act as somebody else while a process is between two calls."""
        self.count("meanwhile")
        self.random.choice([self.decide, self.end_rollout, self.roll_back_elsewhere, self.new_version])()
        return True

    def end_rollout(self) -> None:
        """End a rollout: live if the registry still says approved; its last step may be lost."""
        if not self.rollouts.running:
            return
        name, document = self.rollouts.running.popitem()
        number, arn = document["package"], document["package_arn"]
        # The smoke test reads the ledger and the state machine the registry, one after the other
        approved = bool(self.version(number).get("approved")) and self.registry.packages[arn].approved
        fine = self.random.random() < 0.7 and approved
        if fine:
            self.go_live(document)
        if self.random.random() < 0.7:  # otherwise it died before its last step
            self.last_step(name, number, arn, fine=fine)
        self.rollouts.ended[name] = ExecutionOutcome("SUCCEEDED" if fine else "FAILED", "")
        self.registry.events.append(f"rollout {name}")

    def go_live(self, document: dict[str, Any]) -> None:
        number, digest = document["package"], document["environment"]["PENSTOCK_MODEL_SHA256"]
        self.service.serving = Serving(str(len(self.live) + 2), number, digest)
        self.live.append(Live(number, digest, self.decisions(number), self.registry.packages[document["package_arn"]]))
        self.count("live")

    def last_step(self, name: str, number: int, arn: str, *, fine: bool) -> None:
        """Do what `functions/end_rollout` does."""
        serving = self.service.serving
        live = {"version": number, "sha256": serving.sha256, "lambda_version": serving.lambda_version} if fine else None
        if not fine and self.registry.packages[arn].approved:
            self.registry.change(arn, PENDING, MACHINE, "taken back")
        outcome, at = "live" if fine else "rolled back", timestamp(self.registry.now)
        self.ledger.end_rollout(name, outcome, "the schedule says so", at, live)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # The schedule

    def steps(self) -> Any:
        """Do one action after the other, until nothing more can happen; yields after each."""
        actions = [
            self.new_version,
            self.overwrite_file,
            self.overrule,
            self.roll_back_elsewhere,
            *[self.roll_back] * 2,
        ]
        actions += [self.decide] * 4 + [self.deliver] * 8 + [self.end_rollout] * 2
        for _ in range(STEPS):
            self.registry.now += timedelta(seconds=1)
            self.random.choice(actions)()
            yield
        yield from self.finish()
        # Each version's event comes once more, as an operator's edit would cause.
        self.registry.events += self.registry.packages
        yield from self.finish()

    def finish(self) -> Any:
        """Deliver all events and end all rollouts, without further actions."""
        while self.registry.events or self.rollouts.running:
            self.registry.now += timedelta(seconds=1)
            if self.registry.events:
                self.process(self.registry.events.pop())
            else:
                self.end_rollout()
            yield
