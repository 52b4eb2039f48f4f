"""Who may put a version live, and whether this one still may be.

What counts is the registry's own record of who changed the status, not the event, which comes at least once and in any
order. A refusal sets the version back to pending, says why, and is recorded.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.authorize.new_code import DEPLOYMENT, NewCode
from functions.authorize.rollback_request import RollingBack
from functions.authorize.rollout_input import deployed, document, way_back
from functions.authorize.run_initiators import starters
from penstock import events
from penstock.aws.executions import Ended, Executions
from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Package, Registry
from penstock.aws.notifier import Notifier, first_numbers
from penstock.aws.s3_store import NoObjectError, Store, changed_file, sha256
from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record, timestamp
from penstock.release import rollback
from penstock.release.approval import AUTO, COUNTED, Case, earlier, judge, objection, outdated, principal
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.endpoints import Endpoints, EndpointsError
from penstock.release.live_service import Service, Serving
from penstock.settings import AuthorizeSettings
from penstock.spec.model import ModelSpec

DECISIONS = {APPROVED: "approved", REJECTED: "rejected", PENDING: "set back"}
STATUSES = {"approved": APPROVED, "rejected": REJECTED, rollback.MARK: REJECTED}
"""What the registry has after a decision; after any other the version is pending."""
BACK = "-back"
"""Ends the name of an execution that only takes a rollout's traffic back."""


class TooEarlyError(Exception):
    """A run's version is in the registry and not yet in the ledger; Lambda asks again."""


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """The step, with everything it works on."""

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
    """ARN that authorize acts by, where the policy is `auto`; empty elsewhere."""

    def changed(self, arn: str, now: datetime) -> str:
        """Something changed about a version: record a decision that is one, and roll out what is rightly approved."""
        package = self.registry.describe(arn)
        if (request := rollback.asked(package)) is not None and (said := self._rolling_back().hear(request, now)):
            if not self._known(package):  # a refused one is a rejection all the same
                self._withdraw(package)
            return f"{said}; {self.roll_out(now)}"
        if self._waits_for_nobody(package):
            return self._approve(package)
        if self._known(package):
            return self.roll_out(now)  # an edit of something else, or an event that came before
        return self._decided(package, now)

    def _decided(self, package: Package, now: datetime) -> str:
        """Somebody decided about a version."""
        if not package.approved:
            return f"{self._withdraw(package)}; {self.roll_out(now)}"
        if refusal := self.refusal(package, now):
            return self._refuse(package, refusal)
        if self._own(package):
            self._decide(package, "approved", by=AUTO)
            return self.roll_out(now)
        return self._count(package, now)

    def _waits_for_nobody(self, package: Package) -> bool:
        """Whether the policy is `auto` and this is a run's version that nothing was decided about.

        Raises:
            TooEarlyError: the run has yet to record it.
        """
        if self.spec.approval.policy != "auto" or package.status != PENDING or not package.run:
            return False
        if not (about := self._version(package.version)):
            raise TooEarlyError(f"version {package.version} is not in the ledger yet, its run has yet to record it")
        return "decision" not in about

    def _approve(self, package: Package) -> str:
        """What follows, follows from the event of this, as it does for a person's approval."""
        self.registry.set_status(package.arn, APPROVED, f"{AUTO}: the gates passed")
        return f"version {package.version} is approved by policy auto"

    def _own(self, package: Package) -> bool:
        """Whether authorize approved it itself, by the policy `auto`."""
        ours = bool(self.machine) and principal(package.changed_by) == principal(self.machine)
        return ours and self.spec.approval.policy == "auto"

    def _count(self, package: Package, now: datetime) -> str:
        """An approval that there is no objection to: enough, one of several, or given by whom it may not be."""
        policy, at = self.spec.approval, timestamp(package.changed)
        before = earlier(self.ledger.approvals(package.version), at)
        run = self.ledger.version(package.version)["run"]
        known = starters(self.ledger, self.store, run) if policy.four_eyes else []
        verdict = judge(policy, package.changed_by, before, known)
        if verdict.refusal is not None:
            return self._refuse(package, verdict.refusal)
        if verdict.enough:
            self._decide(package, "approved")
            return self.roll_out(now)
        said = verdict.sentence([*before, principal(package.changed_by)])
        about = {"decision": COUNTED, "by": package.changed_by, "reason": package.description, "counted": said}
        self.ledger.put_approval(package.version, at, **about)
        self._tell(package, said, f"{package.changed_by} approved it: {package.description}")
        self.registry.set_status(package.arn, PENDING, said)
        self._decide(package, COUNTED, counted=said)
        return f"version {package.version} has {said}"

    def _rolling_back(self) -> RollingBack:
        return RollingBack(
            spec=self.spec,
            ledger=self.ledger,
            registry=self.registry,
            notifier=self.notifier,
            changed_file=self._changed_file,
            name=self._rollout_of,
        )

    def _known(self, package: Package) -> bool:
        """Whether the ledger has the registry's status as decided already.

        A rollout that failed sets the registry back. Where it says approved after that, somebody has approved anew.
        """
        about = self._version(package.version)
        if package.status != STATUSES.get(about.get("decision", ""), PENDING):
            return False
        return not (package.approved and self._failed(about))

    def _version(self, version: int) -> Record:
        """What the ledger has of a version; nothing, where no run of ours registered it."""
        try:
            return self.ledger.version(version)
        except NoRecordError:
            return {}

    def _failed(self, about: Record) -> bool:
        """Whether a version's approval led to a rollout that ended otherwise than live."""
        if about.get("rolled_out") != about["approved"]:
            return False
        outcome = self.ledger.rollout(self._rollout_of(about)).get("outcome")
        return outcome is not None and bool(outcome != "live")

    def _rollout_of(self, about: Record) -> str:
        """The name of the rollout that follows from a version's approval."""
        return hashlib.sha256(f"{self.spec.name} {about['version']} {about['approved']}".encode()).hexdigest()[:12]

    def _withdraw(self, package: Package) -> str:
        self._decide(package, DECISIONS[package.status])
        return f"version {package.version} is {package.status}"

    def _decide(self, package: Package, decision: str, **about: str) -> None:
        said = {"decision": decision, "by": package.changed_by, "reason": package.description} | about
        at = timestamp(package.changed)
        if self._version(package.version):
            self.ledger.decide(package.version, at, approved=decision == "approved", **said)
        else:
            self.ledger.put_approval(package.version, at, **said)

    def refusal(self, package: Package, now: datetime) -> str | None:
        """Why this approval does not count; None when it does."""
        policy, age = self.spec.approval, now - package.created
        case = Case(by=package.changed_by, reason=package.description, age=age)
        if said := outdated(policy, age) if self._own(package) else objection(policy, case):
            return said
        rivals = [item for item in self.ledger.versions() if STATUSES.get(item.get("decision", "")) != REJECTED]
        newest = max((item["version"] for item in rivals), default=0)
        if package.version < newest:
            return f"version {newest} is newer: approve that one, or reject it first"
        return self._changed_file(package.version)

    def _changed_file(self, version: int) -> str | None:
        try:
            registered = self.ledger.version(version)["sha256"]
            key = self.lake.model_file(registered, MODEL_FILE)
            found = sha256(self.store.read(key))
        except (NoRecordError, NoObjectError) as error:
            return str(error)
        return None if found == registered else changed_file(key, found, registered)

    def _refuse(self, package: Package, refusal: str) -> str:
        """Say no everywhere. What asks for an answer goes last, so that a crash before leaves it asking.

        That is the registry for an approval that is new, and the ledger's own mark for one that waited.
        """
        at, about = timestamp(package.changed), {"by": package.changed_by, "reason": package.description}
        self.ledger.put_approval(package.version, at, decision="refused", refusal=refusal, **about)
        self._tell(package, "refused", f"{package.changed_by} approved it; {refusal}.")
        self.registry.set_status(package.arn, PENDING, f"refused: {refusal}")
        self._decide(package, "refused", refusal=refusal)
        return f"approval of version {package.version} refused: {refusal}"

    def _tell(self, package: Package, decision: str, sentence: str) -> None:
        """Tell people, with the version's first numbers and what shows them all."""
        about = self._version(package.version)
        numbers = first_numbers(about.get("metrics") or {})
        command = f"penstock why {self.spec.name} --version {package.version} --stage {self.settings.stage}"
        subject = f"{self.spec.name}: approval of version {package.version} {decision}"
        self.notifier.tell(subject, "\n".join([sentence, *([numbers] if numbers else []), "", command, ""]))

    def roll_out(self, now: datetime) -> str:
        """Start the rollout of the newest approved version that was not rolled out yet, if none is under way."""
        if (holder := self._under_way(now)) is not None:
            return self._meanwhile(holder, now)
        due = self._due(now)
        if due is None:
            return "no approved version waits for a rollout"
        version, approved, rollout = due["version"], due["approved"], self._rollout_of(due)
        about = {"arn": due["arn"], "sha256": due["sha256"]}
        about["model_version_id"] = due.get("model_version_id", "")
        if not self.ledger.open_rollout(rollout, version, timestamp(now), approved=approved, **about):
            return f"rollout {rollout} is known, or its approval was withdrawn"
        self._start(self.ledger.rollout(rollout), now)
        return f"rollout {rollout} of version {version} started"

    def new_code(
        self, now: datetime, *, by: str = DEPLOYMENT, because: str = "new code or settings were deployed"
    ) -> str:
        """Roll the live model out with the code that was deployed, where that is due (`NewCode.open`)."""
        if (holder := self._under_way(now)) is not None:
            return f"rollout {holder} is under way; new code is looked at when it has ended"
        found = NewCode(
            spec=self.spec,
            ledger=self.ledger,
            service=self.service,
            deployed=deployed(self.settings, self.spec),
            plan=EndpointPlan.read(self.settings.endpoint),
        )
        said, opened = found.open(now, by=by, because=because)
        if opened is not None:
            self._start(self.ledger.rollout(opened), now)
        return said

    def _under_way(self, now: datetime) -> str | None:
        """The rollout that is, started where that was lost, and closed where its execution has ended."""
        if (holder := self.ledger.holder("rollout")) is not None:
            self._start(self.ledger.rollout(holder), now)
        return self.ledger.holder("rollout")

    def _meanwhile(self, holder: str, now: datetime) -> str:
        """What an approval while a rollout is under way comes to."""
        running = self.ledger.rollout(holder)
        due = self._due(now) if self.spec.rollout.on_second_approval == "supersede" else None
        if due is None or due["version"] == running["version"] or "rolls_back" in running:
            return f"rollout {holder} is under way; what was approved meanwhile comes after it"
        self.ledger.supersede_rollout(holder, due["version"])
        return f"rollout {holder} of version {running['version']} gives way to version {due['version']}"

    def _due(self, now: datetime) -> Record | None:
        """The newest version whose approval waits, asked again: it may have been withdrawn or overtaken meanwhile."""
        for item in self.ledger.versions():
            if not item.get("approved") or item.get("rolled_out") == item["approved"]:
                continue
            package = self.registry.describe(item["arn"])
            if not package.approved:
                self._withdraw(package)
            elif refusal := self.refusal(package, now):
                self._refuse(package, refusal)
            else:
                return item
        return None

    def _start(self, rollout: Record, now: datetime) -> None:
        started = self._document(rollout, self.service.live())
        if (name := started["endpoint"]["name"]) and "endpoint" not in rollout:
            self.ledger.name_endpoint(rollout["id"], name)
        ended = self.executions.start(rollout["id"], started)
        if ended is not None:  # and its ending was not recorded: the event of its end was lost or is still to come
            self._settle(rollout, ended, now)

    def _document(self, rollout: Record, serving: Serving) -> dict[str, Any]:
        artifact = self.registry.describe(rollout["arn"]).artifact if self.settings.endpoint else ""
        return document(self.settings, self.spec, self.lake, rollout, serving, artifact)

    def _goes_back(self, rollout: Record, serving: Serving, reason: str) -> bool:
        """Have the rollout's own state machine take back what a dead execution left: a share of the traffic, alarms.

        A version that answers unseen has alarms and no share; the looks at it have noted which it is.
        """
        version = next(iter(serving.shared), rollout.get("lambda_version"))
        if version in {None, serving.lambda_version}:
            return False
        back = way_back(self._document(rollout, serving), str(version), reason)
        return self.executions.start(rollout["id"] + BACK, back) is None

    def rollout_ended(self, event: events.ExecutionEnded, now: datetime) -> str:
        """A rollout's execution ended: close it where it did not do so itself, then start what waits."""
        name = event.name.removesuffix(BACK)
        rollout = self.ledger.rollout(name)
        if rollout["state"] == "open":
            self._settle(rollout, Ended(event.status, event.cause), now)
        said = self.roll_out(now)
        if self.ledger.holder("rollout") is not None:
            return said
        code = self.new_code(now)  # what was deployed meanwhile
        return code if self.ledger.holder("rollout") is not None else said

    def _settle(self, rollout: Record, ended: Ended, now: datetime) -> None:
        """Close a rollout as Lambda has it: it may have moved the traffic before it died."""
        serving = self.service.live()
        reason = ended.sentence("the rollout's execution")
        if self._goes_back(rollout, serving, reason):
            return
        if serving.shared:
            left = ", ".join(f"Lambda version {name} still has {share:.0%}" for name, share in serving.shared.items())
            reason = f"{reason}; {left} of the traffic"
        reason += self._sweep()  # while nobody else can start a rollout, which may want the same endpoint
        # Of new code the version was live before; it is whatever the alias points at that tells.
        if serving.version == rollout["version"] and serving.lambda_version != rollout.get("before"):
            live = {"version": serving.version, "sha256": serving.sha256, "lambda_version": serving.lambda_version}
            live |= {"endpoint": serving.endpoint} if serving.endpoint else {}
            said = f"version {serving.version} serves all traffic, though {reason}"
            self._close(rollout, "live", said, now, live)
            return
        # The registry first: once the ledger has the ending, nobody comes back to set it back.
        package = self.registry.describe(rollout["arn"])
        if package.approved and "new_code" not in rollout:
            self.registry.set_status(package.arn, PENDING, reason)
        self._close(rollout, "failed", reason, now, None)

    def _close(self, rollout: Record, outcome: str, reason: str, now: datetime, live: Record | None) -> None:
        """Record the ending and tell it: an alarm on failed executions hears of none that was stopped or timed out."""
        if self.ledger.end_rollout(rollout["id"], outcome, reason, timestamp(now), live=live):
            self.notifier.tell(f"{self.spec.name}: version {rollout['version']} {outcome}", reason)

    def _sweep(self) -> str:
        """Delete the endpoints that a dead rollout left; what a reason is to add about those that are still there."""
        try:
            self.endpoints.sweep(self.service.endpoints())
        except (BotoCoreError, ClientError, EndpointsError) as error:
            return f"; the next rollout deletes what could not be deleted now: {error}"
        return ""

    def stack_deleted(self) -> None:
        """The model's stack goes, and CloudFormation knows nothing of its endpoints: delete them all.

        Raises:
            EndpointsError: naming those that are still there; they bill by the hour.
        """
        self.endpoints.sweep(())
