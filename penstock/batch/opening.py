"""Opens the batch of an uploaded file, once, for the version that is live then; closes one whose execution was lost."""

from dataclasses import dataclass

from penstock import lake
from penstock.aws.executions import ExecutionOutcome, Executions
from penstock.batch.ending import PUSH_AGAIN
from penstock.batch.names import batch_id
from penstock.events import ExecutionEnded, ObjectCreated
from penstock.lake import BATCH_INPUT
from penstock.ledger.ledger import Ledger, Record


@dataclass(frozen=True)
class Result:
    """What an event led to."""

    sentence: str
    failed_batch: str | None = None
    """The batch that was closed as failed."""


@dataclass(frozen=True, kw_only=True)
class BatchOpening:
    """Batches of one model and their executions."""

    model: str
    ledger: Ledger
    executions: Executions

    def open(self, event: ObjectCreated, at: str) -> Result:
        """Open the batch of an uploaded file and start its execution."""
        if event.key == lake.prefix(BATCH_INPUT, self.model):
            return Result(f"{event.key} holds no rows")
        name = lake.name_of(event.key, BATCH_INPUT, self.model)
        if not lake.holds_rows(name):
            return Result(f"{event.key} holds no rows")
        batch = batch_id(self.model, event.key, event.version_id)
        about = {"key": event.key, "name": name, "version_id": event.version_id, "size": event.size}
        # The live version is recorded once: the event may come again after a rollout.
        is_new = self.ledger.open_batch(batch, at, **about, live=self._live_version())
        if not is_new and self.ledger.batch(batch)["state"] == "ended":
            return Result(f"batch {batch} of {name} has ended already")
        ended = self.executions.start(batch, {"model": self.model, "batch": batch})
        if ended is not None:  # its end was not recorded: that event was lost or is still to come
            return self._close(batch, ended, at)
        return Result(f"batch {batch} of {name} {'opened' if is_new else 'is under way'}")

    def close(self, event: ExecutionEnded, at: str) -> Result:
        """Close the batch of an execution that ended, unless its last step did."""
        return self._close(event.name, ExecutionOutcome(event.status, event.cause), at)

    def _close(self, batch: str, ended: ExecutionOutcome, at: str) -> Result:
        """Close a batch whose execution was stopped, timed out, or lost with its cloud."""
        if self.ledger.find_batch(batch) is None:
            return Result(f"{batch} is no batch")
        reason = f"{ended.sentence('the execution')}; {PUSH_AGAIN}"
        is_closed_now = self.ledger.end_batch(batch, "failed", reason, at)
        return Result(reason, batch if is_closed_now else None)

    def _live_version(self) -> Record | None:
        """Return the live version's model file; None where no version is live."""
        live = self.ledger.live()
        if live is None:
            return None
        about = self.ledger.version(int(live["version"]))
        return {
            "version": live["version"],
            "sha256": live["sha256"],
            "model_version_id": about.get("model_version_id", ""),
        }
