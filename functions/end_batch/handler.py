"""Last step of a batch: its ending, with a sentence, in the ledger and to the people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.executions import words
from penstock.aws.notifier import Notifier
from penstock.ledger.batches import SCORED
from penstock.ledger.ledger import Ledger, timestamp
from penstock.settings import EndBatchSettings

settings = EndBatchSettings.read()
ledger = Ledger.of(settings)
notifier = Notifier(settings.topic)
logger = Logger(service="end_batch")
MEND = "push the file again: what was scored by then is kept"


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"batch", "outcome", "reason", …}` or `{"batch", "outcome": "failed", "step", "error"}` in; the ending out."""
    batch, outcome = event["batch"], event["outcome"]
    said = words(event.get("error") or {})
    reason = (event.get("reason") or f"{event.get('step', 'a step')} failed: {said}"[:1200] + f"; {MEND}")[:1500]
    about = {name: event[name] for name in ("scored", "errors") if name in event}
    ledger.end_batch(batch, outcome, reason, timestamp(datetime.now(UTC)), **about)
    record = ledger.batch(batch)
    if outcome == SCORED and record["outcome"] == SCORED:
        ledger.note_batched(record["work"], batch)
    if record["outcome"] == outcome and not record.get("told"):
        notifier.tell(f"{settings.model}: batch {record['name']} {outcome}", f"{reason}\n")
        ledger.note_batch(batch, told=True)  # behind the notice: rather told twice, after a crash, than never
    logger.info(reason, extra={"batch": batch, "outcome": outcome})
    return {"batch": batch, "outcome": outcome, "reason": reason}
