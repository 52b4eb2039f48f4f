"""Review of a rollback that was requested in the registry: check it, record it and open its rollout, all or nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from penstock.aws.model_registry import Package, Registry
from penstock.aws.notifier import Notifier
from penstock.ledger.ledger import Ledger, NoRecordError, timestamp
from penstock.release import rollback
from penstock.release.approval import Case, objection
from penstock.release.decisions import name_rollout
from penstock.release.rollback import Request, RollbackError
from penstock.spec.model import ModelSpec


@dataclass(frozen=True, kw_only=True)
class RollbackReview:
    """Reviews the rollback requests of one model."""

    spec: ModelSpec
    ledger: Ledger
    registry: Registry
    notifier: Notifier
    find_file_change: Callable[[int], str | None]
    """Describes how a version's model file differs from the registered one; None where it does not."""

    def record_request(self, request: Request, now: datetime) -> str | None:
        """Open the rollout of a request, or refuse it; return a sentence, or None if it was recorded before."""
        at = timestamp(request.package.changed)
        if any(item["at"] == at and "rollback" in item for item in self.ledger.approvals(request.to)):
            return None
        if self._is_repeated(request):
            return None
        try:
            self._open(request, at, now)
        except (RollbackError, NoRecordError) as error:
            return self._refuse(request, at, str(error))
        return f"version {request.package.version} is rolled back to version {request.to}"

    def _is_repeated(self, request: Request) -> bool:
        """Return whether the same request was recorded before, so that this event is about another edit of the version.

        Other words are another request. It comes too late, and its author must be answered.
        """
        live = self.ledger.live()
        if live is not None and int(live["version"]) == request.package.version:
            return False
        decisions = self.ledger.approvals(request.package.version)
        rollbacks = [item for item in decisions if item["decision"] == rollback.MARK]
        if not rollbacks:
            return False
        last = rollbacks[-1]
        return (last["rollback_to"], last["reason"]) == (request.to, request.reason)

    def _open(self, request: Request, at: str, now: datetime) -> None:
        """Make all checks, then write the outcome in one transaction."""
        package, who = request.package, request.package.changed_by
        if not any(fnmatchcase(who, pattern) for pattern in self.spec.approval.who):
            raise RollbackError(f"{who or 'an unknown identity'} is not among approval.who in model.yaml")
        live = rollback.require_live(self.ledger)
        if live["version"] != package.version:
            raise RollbackError(f"version {package.version} is not live, version {live['version']} is")
        back = rollback.find_target(self.ledger, package.version, request.to)
        if refusal := self._withdrawn(self.registry.describe(back["arn"])):
            raise RollbackError(refusal)
        if refusal := self.find_file_change(request.to):
            raise RollbackError(refusal)
        name = name_rollout(self.spec.name, request.to, at)
        about = {"opened": timestamp(now), "by": who, "reason": request.reason}
        if not self.ledger.open_rollback(name, back, package.version, at, **about):
            raise RollbackError(
                "something else was decided or rolled out at the same moment: check, and request it again"
            )

    def _withdrawn(self, package: Package) -> str | None:
        """Return why the earlier version is no longer approved in the registry; None if it is.

        A change whose event is still to come counts only if its author may approve: the ledger's record is older.
        """
        if not package.approved:
            return f"version {package.version} is no longer approved in the registry"
        if any(item["at"] == timestamp(package.changed) for item in self.ledger.approvals(package.version)):
            return None
        case = Case(by=package.changed_by, reason=package.description, age=timedelta(0))
        reason = objection(self.spec.approval, case)
        if reason is None:
            return None
        return f"version {package.version} was changed in the registry since it was approved: {reason}"

    def _refuse(self, request: Request, at: str, refusal: str) -> str:
        package = request.package
        about = {"by": package.changed_by, "reason": request.reason, "rollback": package.version}
        self.ledger.put_approval(request.to, at, decision="refused", refusal=refusal, **about)
        sentence = f"rollback from version {package.version} to version {request.to} refused: {refusal}"
        self.notifier.send(f"{self.spec.name}: rollback refused", f"{package.changed_by} requested it. {sentence}\n")
        return sentence
