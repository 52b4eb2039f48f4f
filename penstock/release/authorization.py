"""Reactions to what may change what is live: a version's status in the registry, a deployment, the end of a rollout."""

from dataclasses import dataclass
from datetime import datetime

from penstock.aws.executions import ExecutionOutcome, Executions
from penstock.aws.model_registry import Registry
from penstock.aws.notifier import Notifier
from penstock.aws.s3_store import Store
from penstock.events import ExecutionEnded
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.release import rollback
from penstock.release.decisions import Decisions
from penstock.release.ending import Ending
from penstock.release.endpoints import Endpoints
from penstock.release.live_service import Service
from penstock.release.new_code import DEPLOYMENT
from penstock.release.rollback_request import RollbackReview
from penstock.release.rollout_start import BACK, RolloutStart
from penstock.settings import AuthorizeSettings
from penstock.spec.model import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """Decides what is rolled out for one model, one rollout at a time."""

    settings: AuthorizeSettings
    spec: ModelSpec
    lake: Lake
    store: Store
    ledger: Ledger
    registry: Registry
    notifier: Notifier
    executions: Executions
    """The rollout's."""
    service: Service
    endpoints: Endpoints
    machine: str = ""
    """ARN by which the policy `auto` approves; empty where the policy is another."""

    def handle_change(self, arn: str, now: datetime) -> str:
        """React to a change of a version in the registry: record a decision, if it is one, and start what is due."""
        package = self.registry.describe(arn)
        request = rollback.read_request(package)
        if request is not None and (outcome := self.rollback_review.record_request(request, now)):
            if not self.decisions.is_recorded(package):  # a refused one is a rejection all the same
                self.decisions.withdraw(package)
            return f"{outcome}; {self.rollouts.start_next(now)}"
        if self.decisions.awaits_policy_auto(package):
            return self.decisions.approve_by_policy(package)
        if self.decisions.is_recorded(package):  # an edit of something else, or an event that came before
            return self.rollouts.start_next(now)
        if not package.approved:
            return f"{self.decisions.withdraw(package)}; {self.rollouts.start_next(now)}"
        return self.decisions.judge(package, now) or self.rollouts.start_next(now)

    def handle_new_code(
        self, now: datetime, *, by: str = DEPLOYMENT, because: str = "new code or settings were deployed"
    ) -> str:
        """Roll the live model out with the deployed code, where that is due (`NewCode.open`)."""
        return self.rollouts.start_new_code(now, by=by, because=because)

    def handle_rollout_end(self, event: ExecutionEnded, now: datetime) -> str:
        """Close a rollout whose execution ended without doing so itself, then start what waits."""
        rollout = self.ledger.rollout(event.name.removesuffix(BACK))
        if rollout["state"] == "open":
            self.rollouts.settle(rollout, ExecutionOutcome(event.status, event.cause), now)
        sentence = self.rollouts.start_next(now)
        if self.ledger.holder("rollout") is not None:
            return sentence
        code = self.handle_new_code(now)  # what was deployed meanwhile
        return code if self.ledger.holder("rollout") is not None else sentence

    def delete_endpoints(self) -> None:
        """Delete all of the model's endpoints before its stack is deleted, as CloudFormation does not manage them.

        Raises:
            EndpointsError: naming those that are still there; they bill by the hour.
        """
        self.endpoints.sweep(())

    @property
    def decisions(self) -> Decisions:
        return Decisions(
            spec=self.spec,
            stage=self.settings.stage,
            lake=self.lake,
            store=self.store,
            ledger=self.ledger,
            registry=self.registry,
            notifier=self.notifier,
            machine=self.machine,
        )

    @property
    def rollback_review(self) -> RollbackReview:
        return RollbackReview(
            spec=self.spec,
            ledger=self.ledger,
            registry=self.registry,
            notifier=self.notifier,
            find_file_change=self.decisions.find_file_change,
        )

    @property
    def rollouts(self) -> RolloutStart:
        return RolloutStart(
            settings=self.settings,
            spec=self.spec,
            lake=self.lake,
            ledger=self.ledger,
            registry=self.registry,
            executions=self.executions,
            service=self.service,
            decisions=self.decisions,
            ending=Ending(
                spec=self.spec,
                ledger=self.ledger,
                registry_of=lambda _arn: self.registry,
                notifier=self.notifier,
                service=self.service,
                endpoints=self.endpoints,
            ),
        )
