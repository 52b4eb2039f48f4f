"""An authorization over moto's AWS, with a registry and a predict function that a test controls."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from penstock.aws.executions import Executions
from penstock.aws.model_registry import APPROVED, PENDING, Package, Registry
from penstock.aws.notifier import Notifier
from penstock.aws.s3_store import sha256
from penstock.events import ExecutionEnded
from penstock.predict_settings import DEPLOYED
from penstock.release.authorization import Authorization
from penstock.release.endpoints import Endpoints
from penstock.release.live_service import Service, Serving
from penstock.settings import AuthorizeSettings
from penstock.spec.model import ModelSpec
from tests.support.world import NOW, World, client, execution_ended

ALICE = "arn:aws:sts::123456789012:assumed-role/approver/alice"
MACHINE = "arn:aws:sts::123456789012:assumed-role/authorize/penstock"
FILE = b"the model file"


@dataclass
class FakeRegistry(Registry):
    """A registry that records who changed what, as SageMaker's does."""

    group: str = "group"
    packages: dict[str, Package] = field(default_factory=dict)

    def describe(self, arn: str) -> Package:
        return self.packages[arn]

    def set_status(self, arn: str, status: str, reason: str) -> None:
        package = self.packages[arn]
        changed = package.changed + timedelta(seconds=1)
        self.packages[arn] = replace(package, status=status, description=reason, changed_by=MACHINE, changed=changed)


@dataclass
class FakeService(Service):
    """A predict function whose alias a test points."""

    serving: Serving = field(default_factory=lambda: Serving("1", None, ""))

    newest: str = ""
    """Fingerprint of the code of `$LATEST`."""

    def live(self) -> Serving:
        return self.serving

    def code(self, settings: Mapping[str, str] | None = None) -> str:
        assert settings is None or set(settings) == set(DEPLOYED)
        return self.newest

    def endpoints(self) -> set[str]:
        return {self.serving.endpoint} - {""}


@dataclass
class Office:
    """An authorization with everything around it."""

    world: World
    registry: FakeRegistry
    spec: ModelSpec
    service: FakeService = field(default_factory=FakeService)
    changes: dict[str, str] = field(default_factory=dict)
    """Settings other than those of every test."""

    @property
    def authorization(self) -> Authorization:
        settings = replace(self.world.settings_of("authorize"), **self.changes)
        assert isinstance(settings, AuthorizeSettings)
        return Authorization(
            settings=settings,
            spec=self.spec,
            lake=self.world.lake,
            store=self.world.store,
            ledger=self.world.ledger,
            registry=self.registry,
            notifier=Notifier(self.world.topic),
            executions=Executions(self.world.rollout),
            service=self.service,
            endpoints=Endpoints(settings.stage, settings.model),
        )

    def version(self, number: int, **about: Any) -> str:
        """Register a version whose status someone has changed; its ARN."""
        digest = sha256(FILE)
        arn = f"arn:package/{number}"
        self.world.store.write(self.world.lake.model_file(digest, "model.onnx"), FILE)
        self.world.ledger.put_version(number, arn=arn, run="run1", sha256=digest)
        package = Package(arn, number, APPROVED, "better than before", ALICE, NOW, NOW - timedelta(days=1))
        self.registry.packages[arn] = replace(package, **about)
        return arn

    def decide(self, number: int, status: str, minute: int, reason: str = "a reason") -> str:
        """Change the status of a registered version as Alice, so many minutes from now; its ARN."""
        arn, changed = f"arn:package/{number}", NOW + timedelta(minutes=minute)
        package = self.registry.packages[arn]
        self.registry.packages[arn] = replace(
            package, status=status, changed=changed, changed_by=ALICE, description=reason
        )
        return arn

    def handle(self, arn: str, now: datetime = NOW) -> str:
        return self.authorization.handle_change(arn, now)

    def end(self, rollout: str, status: str, cause: str | None = None) -> str:
        event = ExecutionEnded.parse(execution_ended(self.world.rollout, rollout, status, cause))
        return self.authorization.handle_rollout_end(event, NOW)

    def stop(self, rollout: str) -> None:
        """Stop the execution of a rollout without an event; moto keeps no cause."""
        arn = self.world.rollout.replace(":stateMachine:", ":execution:") + f":{rollout}"
        client("stepfunctions").stop_execution(executionArn=arn)

    def go_live(self, rollout: str, number: int) -> str:
        """Record a rollout as live, and deliver the event of its end."""
        live = {"version": number, "sha256": sha256(FILE), "lambda_version": str(number)}
        assert self.world.ledger.end_rollout(rollout, "live", "serves", "t", live)
        return self.end(rollout, "SUCCEEDED")

    def take_back(self, rollout: str, number: int) -> None:
        """Record a rollout as rolled back after an alarm, without the event of its end."""
        arn = f"arn:package/{number}"
        if self.registry.packages[arn].approved:
            self.registry.set_status(arn, PENDING, "an alarm")
        assert self.world.ledger.end_rollout(rollout, "rolled back", "an alarm", "t", None)

    def decisions(self, number: int) -> list[tuple[str, str]]:
        """The decisions on a version and their authors, oldest first."""
        return [(item["decision"], item["by"]) for item in self.world.ledger.approvals(number)]

    def rollouts(self) -> list[dict[str, Any]]:
        return self.world.executions(self.world.rollout)

    def rolled_out(self) -> list[int]:
        """The versions of all executions, oldest first."""
        return [json.loads(item["input"])["package"] for item in self.rollouts()]
