"""Ends a batch: its outcome and reason in the ledger, and a notice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.aws.executions import error_sentence
from penstock.aws.notifier import Notifier
from penstock.ledger.batches import SCORED
from penstock.ledger.ledger import Ledger

PUSH_AGAIN = "push the file again: what was scored by then is kept"


@dataclass(frozen=True, kw_only=True)
class BatchEnding:
    """The last step of a batch."""

    model: str
    ledger: Ledger
    notifier: Notifier

    def end(self, event: Mapping[str, Any], at: str) -> dict[str, Any]:
        """End a batch and return its ending.

        Args:
            event: `{"batch", "outcome", "reason", …}`, or `{"batch", "outcome": "failed", "step", "error"}`.
            at: the time.
        """
        batch, outcome = event["batch"], event["outcome"]
        failure = f"{event.get('step', 'a step')} failed: {error_sentence(event.get('error') or {})}"
        reason = (event.get("reason") or f"{failure[:1200]}; {PUSH_AGAIN}")[:1500]
        counts = {name: event[name] for name in ("scored", "errors") if name in event}
        self.ledger.end_batch(batch, outcome, reason, at, **counts)
        record = self.ledger.batch(batch)
        if outcome == SCORED and record["outcome"] == SCORED:
            self.ledger.note_scored(record["work"], batch)
        if record["outcome"] == outcome and not record.get("told"):
            self.notifier.send(f"{self.model}: batch {record['name']} {outcome}", f"{reason}\n")
            self.ledger.note_batch(batch, told=True)  # after the notice: after a crash rather two notices than none
        return {"batch": batch, "outcome": outcome, "reason": reason}
