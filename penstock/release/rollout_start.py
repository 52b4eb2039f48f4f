"""The start of rollouts, one at a time; a start that was lost is repeated.

Every reaction ends here, so that an event that comes twice, late or after a crash starts nothing twice and leaves
nothing unstarted. A rollout whose execution has died is closed on the way (`settle`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.aws.executions import ExecutionOutcome, Executions
from penstock.aws.model_registry import Registry
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.release.decisions import Decisions, name_rollout
from penstock.release.ending import Ending
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.live_service import Service, Serving
from penstock.release.new_code import NewCode
from penstock.release.rollout_input import build_input, build_return_input, deployed_settings
from penstock.settings import AuthorizeSettings
from penstock.spec.model import ModelSpec

BACK = "-back"
"""Ends the name of an execution that only takes a rollout's traffic back."""


@dataclass(frozen=True, kw_only=True)
class RolloutStart:
    """Opens and starts the rollouts of one model."""

    settings: AuthorizeSettings
    spec: ModelSpec
    lake: Lake
    ledger: Ledger
    registry: Registry
    executions: Executions
    service: Service
    decisions: Decisions
    ending: Ending

    def start_next(self, now: datetime) -> str:
        """Start the rollout of the newest approved version that was not rolled out yet, if none is under way."""
        if (holder := self._resume(now)) is not None:
            return self._supersede(holder, now)
        due = self.decisions.next_approved(now)
        if due is None:
            return "no approved version waits for a rollout"
        version, approved = due["version"], due["approved"]
        rollout = name_rollout(self.spec.name, version, approved)
        about = {"arn": due["arn"], "sha256": due["sha256"], "model_version_id": due.get("model_version_id", "")}
        if not self.ledger.open_rollout(rollout, version, timestamp(now), approved=approved, **about):
            return f"rollout {rollout} is known, or its approval was withdrawn"
        self._start(self.ledger.rollout(rollout), now)
        return f"rollout {rollout} of version {version} started"

    def start_new_code(self, now: datetime, *, by: str, because: str) -> str:
        """Roll the live model out with the deployed code, where that is due (`NewCode.open`)."""
        if (holder := self._resume(now)) is not None:
            return f"rollout {holder} is under way; new code is looked at when it has ended"
        code = NewCode(
            spec=self.spec,
            ledger=self.ledger,
            service=self.service,
            settings=deployed_settings(self.settings, self.spec),
            plan=EndpointPlan.read(self.settings.endpoint),
        )
        sentence, rollout = code.open(now, by=by, because=because)
        if rollout is not None:
            self._start(self.ledger.rollout(rollout), now)
        return sentence

    def settle(self, rollout: Record, ended: ExecutionOutcome, now: datetime) -> None:
        """Close a rollout whose execution died, after its traffic and alarms are reverted."""
        serving, reason = self.service.live(), ended.sentence("the rollout's execution")
        if not self._take_back(rollout, serving, reason):
            self.ending.settle(rollout, serving, reason, now)

    def _resume(self, now: datetime) -> str | None:
        """Start the open rollout if its start was lost, close it if its execution ended; return the one in progress."""
        if (holder := self.ledger.holder("rollout")) is not None:
            self._start(self.ledger.rollout(holder), now)
        return self.ledger.holder("rollout")

    def _supersede(self, holder: str, now: datetime) -> str:
        """End the rollout that is under way for a newer approval, where the specification says so."""
        running = self.ledger.rollout(holder)
        supersedes = self.spec.rollout.on_second_approval == "supersede"
        due = self.decisions.next_approved(now) if supersedes else None
        if due is None or due["version"] == running["version"] or "rolls_back" in running:
            return f"rollout {holder} is under way; what was approved meanwhile comes after it"
        self.ledger.supersede_rollout(holder, due["version"])
        return f"rollout {holder} of version {running['version']} gives way to version {due['version']}"

    def _start(self, rollout: Record, now: datetime) -> None:
        document = self._build_input(rollout, self.service.live())
        if (name := document["endpoint"]["name"]) and "endpoint" not in rollout:
            self.ledger.name_endpoint(rollout["id"], name)
        ended = self.executions.start(rollout["id"], document)
        if ended is not None:  # and its ending was not recorded: the event of its end was lost or is still to come
            self.settle(rollout, ended, now)

    def _build_input(self, rollout: Record, serving: Serving) -> dict[str, Any]:
        artifact = self.registry.describe(rollout["arn"]).artifact if self.settings.endpoint else ""
        return build_input(self.settings, self.spec, self.lake, rollout, serving, artifact)

    def _take_back(self, rollout: Record, serving: Serving, reason: str) -> bool:
        """Start an execution that reverts what a dead execution left: a share of the traffic, or alarms.

        A shadow version has alarms and no share; the ledger names it, as the looks at it have noted.

        Returns:
            False where nothing is left, or where that execution has died too.
        """
        version = next(iter(serving.shares), rollout.get("lambda_version"))
        if version in {None, serving.lambda_version}:
            return False
        document = build_return_input(self._build_input(rollout, serving), str(version), reason)
        return self.executions.start(rollout["id"] + BACK, document) is None
