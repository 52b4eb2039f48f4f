"""The end of a run: its outcome with a sentence, in the ledger and to people."""

from dataclasses import dataclass
from datetime import datetime

from penstock.aws.notifier import Notifier, summarize_metrics
from penstock.ledger.ledger import Ledger, Record, timestamp

REASON_LIMIT = 1500
"""Characters of a failed step's reason."""


def failure_reason(step: str, error: str) -> str:
    """Say which step failed, in the error's own words."""
    return f"{step} failed: {error}"[:REASON_LIMIT]


@dataclass(frozen=True, kw_only=True)
class RunEnding:
    """Ends the runs of one model."""

    model: str
    stage: str
    ledger: Ledger
    notifier: Notifier

    def record(self, run: str, outcome: str, reason: str, now: datetime) -> None:
        """Record a run's ending and send one notice; a repeated step changes nothing."""
        self.ledger.end_run(run, outcome, reason, timestamp(now))
        record = self.ledger.run(run)
        if record["outcome"] == outcome and not record.get("told"):
            self.notifier.send(f"{self.model}: run {run} {outcome}", self._notice(record, reason))
            self.ledger.note_notified(run)  # after the notice: a crash between them repeats it and never loses it

    def _notice(self, record: Record, reason: str) -> str:
        metrics = record["steps"].get("gates", {}).get("evaluation", {}).get("challenger") or {}
        commands = [f"penstock run {record['id']} --model {self.model} --stage {self.stage}"]
        if record["outcome"] == "registered":
            commands.append(f"penstock approve {self.model} --stage {self.stage} --reason '…'")
        return "\n".join([reason, *([summarize_metrics(metrics)] if metrics else []), "", *commands, ""])
