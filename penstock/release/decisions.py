"""Decisions about registered versions: judged by the model's policy, recorded, and sent to people as notices.

What counts is the registry's own record of who changed the status, not the event, which comes at least once and in any
order. A refusal sets the version back to pending, says why, and is recorded.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Package, Registry
from penstock.aws.notifier import Notifier, summarize_metrics
from penstock.aws.s3_store import NoObjectError, Store, describe_change, sha256
from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record, timestamp
from penstock.release import rollback
from penstock.release.approval import AUTO, COUNTED, Case, earlier_approvers, find_expiry, judge, objection, principal
from penstock.release.run_initiators import find_initiators
from penstock.spec.model import ModelSpec

DECISIONS = {APPROVED: "approved", REJECTED: "rejected", PENDING: "set back"}
STATUSES = {"approved": APPROVED, "rejected": REJECTED, rollback.MARK: REJECTED}
"""The registry's status after a decision; after any other decision the version is pending."""


class TooEarlyError(Exception):
    """A run's version is in the registry and not yet in the ledger; Lambda retries the event."""


def name_rollout(model: str, version: int, approved: str) -> str:
    """Name the rollout that follows from an approval: 12 hex digits.

    Args:
        model: its name.
        version: of the model package.
        approved: when it was approved, as the ledger has it.
    """
    return hashlib.sha256(f"{model} {version} {approved}".encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """The decisions about one model's versions."""

    spec: ModelSpec
    stage: str
    lake: Lake
    store: Store
    ledger: Ledger
    registry: Registry
    notifier: Notifier
    machine: str
    """ARN by which the policy `auto` approves; empty where the policy is another."""

    def is_recorded(self, package: Package) -> bool:
        """Return whether the ledger already has the decision of the registry's status.

        A rollout that failed sets the registry back. Where it says approved after that, somebody has approved anew.
        """
        record = self._version(package.version)
        if package.status != STATUSES.get(record.get("decision", ""), PENDING):
            return False
        return not (package.approved and self._rollout_failed(record))

    def awaits_policy_auto(self, package: Package) -> bool:
        """Return whether the policy is `auto` and no decision exists yet about this version, which a run registered.

        Raises:
            TooEarlyError: the run has yet to record it.
        """
        if self.spec.approval.policy != "auto" or package.status != PENDING or not package.run:
            return False
        if not (record := self._version(package.version)):
            raise TooEarlyError(f"version {package.version} is not in the ledger yet, its run has yet to record it")
        return "decision" not in record

    def approve_by_policy(self, package: Package) -> str:
        """Approve in the registry; the event of that change starts the rollout, as for a person's approval."""
        self.registry.set_status(package.arn, APPROVED, f"{AUTO}: the gates passed")
        return f"version {package.version} is approved by policy auto"

    def judge(self, package: Package, now: datetime) -> str | None:
        """Judge an approval and record the decision; a sentence, or None where the version is approved from now on."""
        if refusal := self.find_objection(package, now):
            return self.refuse(package, refusal)
        if self._is_own(package):
            self._record(package, "approved", by=AUTO)
            return None
        return self._count(package)

    def withdraw(self, package: Package) -> str:
        """Record that a version was rejected or set back in the registry."""
        self._record(package, DECISIONS[package.status])
        return f"version {package.version} is {package.status}"

    def refuse(self, package: Package, refusal: str) -> str:
        """Record a refusal in ledger and registry, and send a notice.

        What triggers the judgement is written last, so that a crash before it leads to another try: the registry for a
        new approval, and the ledger's own mark for one that waited.
        """
        at, about = timestamp(package.changed), {"by": package.changed_by, "reason": package.description}
        self.ledger.put_approval(package.version, at, decision="refused", refusal=refusal, **about)
        self._notify(package, "refused", f"{package.changed_by} approved it; {refusal}.")
        self.registry.set_status(package.arn, PENDING, f"refused: {refusal}")
        self._record(package, "refused", refusal=refusal)
        return f"approval of version {package.version} refused: {refusal}"

    def find_objection(self, package: Package, now: datetime) -> str | None:
        """Find the reason why an approval does not count; None where it does."""
        policy, age = self.spec.approval, now - package.created
        case = Case(by=package.changed_by, reason=package.description, age=age)
        if reason := find_expiry(policy, age) if self._is_own(package) else objection(policy, case):
            return reason
        rivals = [item for item in self.ledger.versions() if STATUSES.get(item.get("decision", "")) != REJECTED]
        newest = max((item["version"] for item in rivals), default=0)
        if package.version < newest:
            return f"version {newest} is newer: approve that one, or reject it first"
        return self.find_file_change(package.version)

    def find_file_change(self, version: int) -> str | None:
        """Describe how a version's model file differs from the registered one; None where it does not."""
        try:
            registered = self.ledger.version(version)["sha256"]
            key = self.lake.model_file(registered, MODEL_FILE)
            actual = sha256(self.store.read(key))
        except (NoRecordError, NoObjectError) as error:
            return str(error)
        return None if actual == registered else describe_change(key, actual, registered)

    def next_approved(self, now: datetime) -> Record | None:
        """Find the newest version whose approval waits for a rollout.

        Each is judged again, as its approval may have been withdrawn or overtaken meanwhile.
        """
        for item in self.ledger.versions():
            if not item.get("approved") or item.get("rolled_out") == item["approved"]:
                continue
            package = self.registry.describe(item["arn"])
            if not package.approved:
                self.withdraw(package)
            elif refusal := self.find_objection(package, now):
                self.refuse(package, refusal)
            else:
                return item
        return None

    def _is_own(self, package: Package) -> bool:
        """Return whether the policy `auto` approved the version."""
        same = bool(self.machine) and principal(package.changed_by) == principal(self.machine)
        return same and self.spec.approval.policy == "auto"

    def _count(self, package: Package) -> str | None:
        """Record an approval without objection: enough, one of several, or refused as its author may not give it."""
        policy, at = self.spec.approval, timestamp(package.changed)
        before = earlier_approvers(self.ledger.approvals(package.version), at)
        run = self.ledger.version(package.version)["run"]
        initiators = find_initiators(self.ledger, self.store, run) if policy.four_eyes else []
        verdict = judge(policy, package.changed_by, before, initiators)
        if verdict.refusal is not None:
            return self.refuse(package, verdict.refusal)
        if verdict.is_enough:
            self._record(package, "approved")
            return None
        count = verdict.sentence([*before, principal(package.changed_by)])
        about = {"decision": COUNTED, "by": package.changed_by, "reason": package.description, "counted": count}
        self.ledger.put_approval(package.version, at, **about)
        self._notify(package, count, f"{package.changed_by} approved it: {package.description}")
        self.registry.set_status(package.arn, PENDING, count)
        self._record(package, COUNTED, counted=count)
        return f"version {package.version} has {count}"

    def _record(self, package: Package, decision: str, **about: str) -> None:
        values = {"decision": decision, "by": package.changed_by, "reason": package.description} | about
        at = timestamp(package.changed)
        if self._version(package.version):
            self.ledger.decide(package.version, at, approved=decision == "approved", **values)
        else:
            self.ledger.put_approval(package.version, at, **values)

    def _notify(self, package: Package, decision: str, sentence: str) -> None:
        """Send a notice with the version's first numbers and the command that shows them all."""
        numbers = summarize_metrics(self._version(package.version).get("metrics") or {})
        command = f"penstock why {self.spec.name} --version {package.version} --stage {self.stage}"
        subject = f"{self.spec.name}: approval of version {package.version} {decision}"
        self.notifier.send(subject, "\n".join([sentence, *([numbers] if numbers else []), "", command, ""]))

    def _version(self, version: int) -> Record:
        """Return the ledger's record of a version; empty if no run registered it."""
        try:
            return self.ledger.version(version)
        except NoRecordError:
            return {}

    def _rollout_failed(self, record: Record) -> bool:
        """Return whether a version's approval led to a rollout that did not end live."""
        if record.get("rolled_out") != record["approved"]:
            return False
        name = name_rollout(self.spec.name, record["version"], record["approved"])
        outcome = self.ledger.rollout(name).get("outcome")
        return outcome is not None and bool(outcome != "live")
