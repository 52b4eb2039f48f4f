"""Who may put a version live, and whether this one still may be.

What counts is the registry's own record of who changed the status, not the event, which comes at least once and in any
order. A refusal sets the version back to pending, says why, and is recorded.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import boto3
from botocore.exceptions import ClientError

from penstock import events
from penstock.lake import Lake
from penstock.ledger import Ledger, NoRecordError, Record, timestamp
from penstock.notify import Notifier
from penstock.registry import APPROVED, PENDING, Package, Registry
from penstock.settings import AuthorizeSettings, PredictSettings
from penstock.spec import ModelSpec
from penstock.store import NoObjectError, Store, sha256

MODEL_FILE = "model.onnx"


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
    steps: Any = field(default_factory=lambda: boto3.client("stepfunctions"))

    def changed(self, arn: str, now: datetime) -> str:
        """A version's status changed: record it, and roll out what was rightly approved."""
        package = self.registry.describe(arn)
        version, by, reason = package.version, package.changed_by, package.description
        at = timestamp(package.changed)
        if package.status != APPROVED:
            if package.status != PENDING:
                self.ledger.put_approval(version, at, decision=package.status.lower(), by=by, reason=reason)
            return f"version {version} is {package.status}"
        if refusal := self.refusal(package, now):
            self._refuse(package, refusal, at)
            return f"approval of version {version} refused: {refusal}"
        if self.ledger.put_approval(version, at, decision="approved", by=by, reason=reason):
            self.ledger.note_version(version, approved=at)
        return self.roll_out(now)

    def refusal(self, package: Package, now: datetime) -> str | None:
        """Why this approval does not count; None when it does."""
        policy = self.spec.approval
        if not any(fnmatchcase(package.changed_by, pattern) for pattern in policy.who):
            return f"{package.changed_by or 'an unknown identity'} is not among approval.who in model.yaml"
        if policy.reason and not package.description.strip():
            return "an approval needs a reason (the approval description)"
        if now - package.created > timedelta(days=policy.max_age_days):
            return f"the version is older than {policy.max_age_days} days: train anew"
        newest = max((version["version"] for version in self.ledger.versions()), default=0)
        if package.version < newest:
            return f"version {newest} is newer: approve that one"
        return self._changed_file(package.version)

    def _changed_file(self, version: int) -> str | None:
        try:
            registered = self.ledger.version(version)["sha256"]
            found = sha256(self.store.read(self.lake.model_file(registered, MODEL_FILE)))
        except (NoRecordError, NoObjectError) as error:
            return str(error)
        return None if found == registered else f"the model file was changed since it was registered (SHA-256 {found})"

    def _refuse(self, package: Package, refusal: str, at: str) -> None:
        self.registry.set_status(package.arn, PENDING, f"refused: {refusal}")
        about = {"decision": "refused", "by": package.changed_by, "reason": package.description, "refusal": refusal}
        if self.ledger.put_approval(package.version, at, **about):
            subject = f"{self.spec.name}: approval of version {package.version} refused"
            self.notifier.tell(subject, f"{package.changed_by} approved it; {refusal}.\n")

    def roll_out(self, now: datetime) -> str:
        """Start the rollout of the newest approved version that was not rolled out yet, if none is under way."""
        if (holder := self.ledger.holder("rollout")) is not None:
            self._start(self.ledger.rollout(holder))
            return f"rollout {holder} is under way; what was approved meanwhile comes after it"
        due = next(
            (v for v in self.ledger.versions() if v.get("approved") and v.get("rolled_out") != v["approved"]), None
        )
        if due is None:
            return "no approved version waits for a rollout"
        rollout = hashlib.sha256(f"{self.spec.name} {due['version']} {due['approved']}".encode()).hexdigest()[:12]
        if not self.ledger.open_rollout(rollout, due["version"], timestamp(now), arn=due["arn"], sha256=due["sha256"]):
            return f"rollout {rollout} is known"
        self.ledger.note_version(due["version"], rolled_out=due["approved"])
        self._start(self.ledger.rollout(rollout))
        return f"rollout {rollout} of version {due['version']} started"

    def _start(self, rollout: Record) -> None:
        predict = PredictSettings(
            stage=self.settings.stage,
            model=self.settings.model,
            bucket=self.settings.bucket,
            capture=self.settings.capture,
            max_rows=str(self.spec.serving.max_rows),
            version=str(rollout["version"]),
            model_key=self.lake.model_file(rollout["sha256"], MODEL_FILE),
            model_sha256=rollout["sha256"],
        )
        document = {
            "rollout": rollout["id"],
            "model": self.spec.name,
            "package": rollout["version"],
            "package_arn": rollout["arn"],
            "function": self.settings.function,
            "description": f"version {rollout['version']}, SHA-256 {rollout['sha256'][:12]}",
            "environment": predict.environment(),
        }
        try:
            self.steps.start_execution(
                stateMachineArn=self.settings.rollout, name=rollout["id"], input=json.dumps(document)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise

    def rollout_ended(self, event: events.ExecutionEnded, now: datetime) -> str:
        """A rollout's execution ended: close it where it did not do so itself, then start what waits."""
        reason = f"the rollout's execution ended {event.status}" + (f": {event.cause[:500]}" if event.cause else "")
        self.ledger.end_rollout(event.name, "failed", reason, timestamp(now), live=None)
        return self.roll_out(now)
