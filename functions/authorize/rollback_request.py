"""A rollback that somebody asked for in the registry: checked, recorded, and its rollout opened, all or nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from penstock.aws.model_registry import Package, Registry
from penstock.aws.notifier import Notifier
from penstock.ledger.ledger import Ledger, NoRecordError, Record, timestamp
from penstock.release import rollback
from penstock.release.approval import Case, objection
from penstock.release.rollback import Request, RollbackError
from penstock.spec.model import ModelSpec


@dataclass(frozen=True, kw_only=True)
class RollingBack:
    """What it works on."""

    spec: ModelSpec
    ledger: Ledger
    registry: Registry
    notifier: Notifier
    changed_file: Callable[[int], str | None]
    """Why a version's model file does not count any more; None while it does."""
    name: Callable[[Record], str]
    """The name of the rollout that follows from a version's approval."""

    def hear(self, request: Request, now: datetime) -> str | None:
        """Open the rollout that a request asks for, once; a sentence, or None where it was heard before."""
        at = timestamp(request.package.changed)
        if any(item["at"] == at and "rollback" in item for item in self.ledger.approvals(request.to)):
            return None
        if self._done(request):
            return None
        try:
            self._open(request, at, now)
        except (RollbackError, NoRecordError) as error:
            return self._refuse(request, at, str(error))
        return f"version {request.package.version} is rolled back to version {request.to}"

    def _done(self, request: Request) -> bool:
        """Whether the version was taken back in the same words before: then somebody only edited something else of it.

        Other words are another request. It comes too late, and whoever asked must hear that.
        """
        live = self.ledger.live()
        if live is not None and int(live["version"]) == request.package.version:
            return False
        decisions = self.ledger.approvals(request.package.version)
        taken = [item for item in decisions if item["decision"] == rollback.MARK]
        return bool(taken) and (taken[-1]["rollback_to"], taken[-1]["reason"]) == (request.to, request.reason)

    def _open(self, request: Request, at: str, now: datetime) -> None:
        """Ask all questions, then write what follows from the answers in one transaction."""
        package, who = request.package, request.package.changed_by
        if not any(fnmatchcase(who, pattern) for pattern in self.spec.approval.who):
            raise RollbackError(f"{who or 'an unknown identity'} is not among approval.who in model.yaml")
        live = rollback.taken_back(self.ledger)
        if live["version"] != package.version:
            raise RollbackError(f"version {package.version} is not live, version {live['version']} is")
        back = rollback.target(self.ledger, package.version, request.to)
        if refusal := self._withdrawn(self.registry.describe(back["arn"])):
            raise RollbackError(refusal)
        if refusal := self.changed_file(request.to):
            raise RollbackError(refusal)
        name = self.name({"version": request.to, "approved": at})
        opened = {"opened": timestamp(now), "by": who, "reason": request.reason}
        if not self.ledger.open_rollback(name, back, package.version, at, **opened):
            raise RollbackError("something else was decided or rolled out at the same moment: look, and ask again")

    def _withdrawn(self, package: Package) -> str | None:
        """Why the registry's record of the earlier version is no approval any more; None while it is one.

        A change that authorize has yet to hear of counts only if its author may approve: what the ledger has is older.
        """
        if not package.approved:
            return f"version {package.version} is no longer approved in the registry"
        if any(item["at"] == timestamp(package.changed) for item in self.ledger.approvals(package.version)):
            return None
        case = Case(by=package.changed_by, reason=package.description, age=timedelta(0))
        said = objection(self.spec.approval, case)
        return f"version {package.version} was changed in the registry since it was approved: {said}" if said else None

    def _refuse(self, request: Request, at: str, refusal: str) -> str:
        package = request.package
        about = {"by": package.changed_by, "reason": request.reason, "rollback": package.version}
        self.ledger.put_approval(request.to, at, decision="refused", refusal=refusal, **about)
        said = f"rollback from version {package.version} to version {request.to} refused: {refusal}"
        self.notifier.tell(f"{self.spec.name}: rollback refused", f"{package.changed_by} asked for it. {said}\n")
        return said
