"""Triggers of runs: uploads, the drift alarm, the operator, and the end of the previous run."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.aws.executions import ExecutionOutcome, Executions
from penstock.events import AlarmRaised, ExecutionEnded, ObjectCreated
from penstock.lake import RAW, SUCCESS, name_of
from penstock.ledger.ledger import Ledger, Upload, timestamp
from penstock.pipeline.run_opening import open_next, retraining_obstacle
from penstock.spec.model import Retraining

logger = logging.getLogger("start_run.run_triggers")  # below the function's logger, whose handler formats it


@dataclass(frozen=True, kw_only=True)
class RunTriggers:
    """Opens runs of one model on events; each method returns a sentence that describes the outcome."""

    model: str
    retraining: Retraining
    ledger: Ledger
    executions: Executions
    """The pipeline's."""

    def record_upload(self, event: ObjectCreated, now: datetime) -> str:
        """Record an upload, and open a run for it unless it is in a folder that is still open."""
        name = name_of(event.key, RAW, self.model)
        folder, _, last = name.rpartition("/")
        if folder and last not in {"", SUCCESS}:
            return f"{event.key} is taken when {SUCCESS} closes its folder"
        if not last or name == SUCCESS:
            return f"{event.key} holds no rows"
        at = timestamp(datetime.fromisoformat(event.at)) if event.at else timestamp(now)
        upload = Upload(event.key, event.version_id, event.etag, event.size, at, sequencer=event.sequencer)
        self.ledger.record_upload(upload)
        cause = f"upload of {f'{folder}/' if last == SUCCESS else name}"
        return open_next(self.ledger, self._start, trigger="upload", cause=cause, now=now)

    def retrain_on_alarm(self, event: AlarmRaised, now: datetime) -> str:
        """Open a run for the drift alarm, where the specification allows it now."""
        if refusal := retraining_obstacle(self.ledger, self.retraining, now):
            return f"alarm {event.alarm} starts no run: {refusal}"
        cause, occasion = f"alarm {event.alarm}: {event.reason}", f"{event.alarm} {event.at}"
        return open_next(self.ledger, self._start, trigger="alarm", cause=cause, occasion=occasion, now=now)

    def retrain_on_request(self, cause: str, request: str, by: str, now: datetime) -> str:
        """Open a run for an operator.

        Args:
            cause: why, in the operator's words.
            request: identifies the request, which opens one run.
            by: ARN of the operator; empty where it is not known.
            now: the time.
        """
        about = {"cause": cause, "occasion": f"operator {request}", "by": by}
        return open_next(self.ledger, self._start, trigger="operator", now=now, **about)

    def settle_run(self, event: ExecutionEnded, now: datetime) -> str:
        """Close a run whose execution ended, if it is open, and take the uploads that came meanwhile."""
        self._settle(event.name, ExecutionOutcome(event.status, event.cause), now)
        cause = "uploads waited for the run before"
        return open_next(self.ledger, self._start, trigger="upload", cause=cause, now=now)

    def resume_after_forgetting(self, now: datetime) -> str:
        """Take the uploads that came during a forgetting, when no run may start."""
        cause = "uploads waited for a forgetting"
        return open_next(self.ledger, self._start, trigger="upload", cause=cause, now=now)

    def _start(self, run: str) -> None:
        ended = self.executions.start(run, {"model": self.model, "run": run})
        if ended is not None:  # and its ending was not recorded: the event of its end was lost or is still to come
            self._settle(run, ended, datetime.now(UTC))

    def _settle(self, run: str, ended: ExecutionOutcome, now: datetime) -> None:
        """Close a run whose execution ended without recording an ending: stopped, timed out, or killed."""
        reason = ended.sentence("the pipeline's execution")
        if self.ledger.end_run(run, "failed", reason, timestamp(now)):
            logger.warning(reason, extra={"run": run})
