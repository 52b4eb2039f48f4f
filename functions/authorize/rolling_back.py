"""A rollback that somebody asked for in the registry: checked, recorded, and its rollout opened, all or nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from penstock import rollback
from penstock.ledger import Ledger, NoRecordError, Record, timestamp
from penstock.notify import Notifier
from penstock.registry import Registry
from penstock.rollback import Request, RollbackError
from penstock.spec import ModelSpec


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
        """Whether the version was taken back before: then somebody only edited something else of it."""
        live = self.ledger.live()
        if live is not None and int(live["version"]) == request.package.version:
            return False
        try:
            return self.ledger.version(request.package.version).get("decision") == rollback.MARK
        except NoRecordError:
            return False

    def _open(self, request: Request, at: str, now: datetime) -> None:
        """Ask all questions, then write what follows from the answers in one transaction."""
        package, who = request.package, request.package.changed_by
        if not any(fnmatchcase(who, pattern) for pattern in self.spec.approval.who):
            raise RollbackError(f"{who or 'an unknown identity'} is not among approval.who in model.yaml")
        live = rollback.taken_back(self.ledger)
        if live["version"] != package.version:
            raise RollbackError(f"version {package.version} is not live, version {live['version']} is")
        back = rollback.target(self.ledger, package.version, request.to)
        if not self.registry.describe(back["arn"]).approved:
            raise RollbackError(f"version {request.to} is no longer approved in the registry")
        if refusal := self.changed_file(request.to):
            raise RollbackError(refusal)
        name = self.name({"version": request.to, "approved": at})
        opened = {"opened": timestamp(now), "by": who, "reason": request.reason}
        if not self.ledger.open_rollback(name, back, package.version, at, **opened):
            raise RollbackError("something else was decided or rolled out at the same moment: look, and ask again")

    def _refuse(self, request: Request, at: str, refusal: str) -> str:
        package = request.package
        about = {"by": package.changed_by, "reason": request.reason, "rollback": package.version}
        self.ledger.put_approval(request.to, at, decision="refused", refusal=refusal, **about)
        said = f"rollback from version {package.version} to version {request.to} refused: {refusal}"
        self.notifier.tell(f"{self.spec.name}: rollback refused", f"{package.changed_by} asked for it. {said}\n")
        return said
