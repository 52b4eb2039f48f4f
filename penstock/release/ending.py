"""The end of a rollout, in the ledger, in the registry and to people.

A rollout ends by its last step (`record`), or, where its execution died before that, as Lambda has it (`settle`). The
registry is set back first: once the ledger has the ending, nothing comes back to do it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from penstock.aws.model_registry import PENDING, Registry
from penstock.aws.notifier import Notifier
from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.release.endpoints import Endpoints, EndpointsError
from penstock.release.live_service import Service, Serving
from penstock.release.pruning import versions_to_keep
from penstock.spec.model import ModelSpec


@dataclass(frozen=True, kw_only=True)
class LastStep:
    """The report of a rollout's last step, by its state machine."""

    rollout: str
    outcome: str
    """`live`, `rolled back` or `failed`."""
    lambda_version: str = ""
    """Number of the published version; empty where none was."""
    endpoint: str = ""
    """Name of the SageMaker endpoint that scores; empty where the predict function does."""
    observation: str = ""
    """The reason of the last look at the new version."""
    error: str = ""
    """Why the version is not live."""


@dataclass(frozen=True, kw_only=True)
class Closing:
    """The result of ending a rollout."""

    reason: str
    endpoints: list[str]
    """Endpoints that were deleted."""
    versions: list[int]
    """Published versions that were deleted."""
    failures: list[str]
    """What could not be deleted and costs nothing: the next rollout tries again."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Ends the rollouts of one model."""

    spec: ModelSpec
    ledger: Ledger
    registry_of: Callable[[str], Registry]
    """The registry that holds the model package of an ARN."""
    notifier: Notifier
    service: Service
    endpoints: Endpoints

    def record(self, step: LastStep, now: datetime) -> Closing:
        """Record the ending that a rollout's last step reports; a repeated step changes nothing."""
        rollout, failures = self.ledger.rollout(step.rollout), []
        is_open, live = rollout["state"] == "open", None
        # Once it has ended, another one may be making an endpoint.
        deleted, error = self._sweep() if is_open else ([], None)
        before = self.ledger.live()
        if step.outcome == "live":
            reason = "; ".join([_success(rollout), *_observations(rollout, step)])
            live = {"version": rollout["version"], "sha256": rollout["sha256"], "lambda_version": step.lambda_version}
            live |= {"endpoint": step.endpoint} if step.endpoint else {}
        else:
            reason = _failure(rollout, step)
            if is_open:  # a repeated step takes back nothing that was approved since
                self._set_back(rollout, reason)
        if isinstance(error, EndpointsError):  # they bill until then, so people must know
            reason += _left(error)
        elif error is not None:
            failures.append(f"endpoints not deleted: {error}")
        code = self.service.code_of_version(step.lambda_version) if step.lambda_version else None
        self._close(rollout, step.outcome, reason, now, live, code)
        versions = self._prune(before, failures) if live is not None else []
        return Closing(reason=reason, endpoints=deleted, versions=versions, failures=failures)

    def settle(self, rollout: Record, serving: Serving, reason: str, now: datetime) -> None:
        """Close a rollout whose execution died; Lambda's alias decides whether the traffic had moved before.

        Args:
            rollout: its record.
            serving: what the alias points at.
            reason: how the execution ended.
            now: the time.
        """
        if serving.shares:
            shares = ", ".join(f"Lambda version {name} still has {share:.0%}" for name, share in serving.shares.items())
            reason = f"{reason}; {shares} of the traffic"
        _, error = self._sweep()  # while nobody else can start a rollout, which may want the same endpoint
        reason += _left(error) if error is not None else ""
        # Of new code the version was live before; it is whatever the alias points at that tells.
        if serving.version == rollout["version"] and serving.lambda_version != rollout.get("before"):
            live = {"version": serving.version, "sha256": serving.sha256, "lambda_version": serving.lambda_version}
            live |= {"endpoint": serving.endpoint} if serving.endpoint else {}
            reason = f"version {serving.version} serves all traffic, though {reason}"
            self._close(rollout, "live", reason, now, live)
            return
        self._set_back(rollout, reason)
        self._close(rollout, "failed", reason, now, None)

    def _close(
        self, rollout: Record, outcome: str, reason: str, now: datetime, live: Record | None, code: str | None = None
    ) -> None:
        """Record the ending and send one notice: an alarm on failed executions misses those stopped or timed out."""
        if self.ledger.end_rollout(rollout["id"], outcome, reason, timestamp(now), live, code=code):
            self.notifier.send(f"{self.spec.name}: version {rollout['version']} {outcome}", reason)

    def _set_back(self, rollout: Record, reason: str) -> None:
        """Set an approved version back to pending, so that approving it once more is a change again.

        What was rejected stays rejected. Of new code the model stays approved: it serves with the code that it had.
        """
        if "new_code" in rollout:
            return
        registry = self.registry_of(rollout["arn"])
        if registry.describe(rollout["arn"]).approved:
            registry.set_status(rollout["arn"], PENDING, reason)

    def _sweep(self) -> tuple[list[str], Exception | None]:
        """Delete the unused endpoints; return their names, and the error if some remain."""
        try:
            return self.endpoints.sweep(self.service.endpoints()), None
        except (BotoCoreError, ClientError, EndpointsError) as error:
            return [], error

    def _prune(self, before: Record | None, failures: list[str]) -> list[int]:
        """Delete published versions that are no longer needed; a failure does not fail the ending."""
        try:
            return self.service.prune({int(before["lambda_version"])} if before else set(), versions_to_keep(self.spec))
        except (BotoCoreError, ClientError) as error:
            failures.append(f"published versions not pruned: {error}")
            return []


def _success(rollout: Record) -> str:
    return f"version {rollout['version']} serves all traffic" + (" with new code" if "new_code" in rollout else "")


def _failure(rollout: Record, step: LastStep) -> str:
    subject = f"new code of version {rollout['version']}" if "new_code" in rollout else f"version {rollout['version']}"
    return f"{subject} {'was taken back' if step.outcome == 'rolled back' else 'did not go live'}: {step.error}"


def _observations(rollout: Record, step: LastStep) -> Iterator[str]:
    """Return the reasons of the rollout's last checks, each once: as a shadow, and at its last weight."""
    yield from dict.fromkeys(filter(None, [rollout.get("shadow", {}).get("said"), step.observation]))


def _left(error: Exception) -> str:
    return f"; the next rollout deletes what could not be deleted now: {error}"
