"""Last step of a run: its ending, with a sentence, in the ledger and to the people."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from penstock.aws.executions import words
from penstock.aws.notifier import Notifier, first_numbers
from penstock.ledger.ledger import Ledger, timestamp
from penstock.settings import EndRunSettings

settings = EndRunSettings.read()
ledger = Ledger.of(settings)
notifier = Notifier(settings.topic)
logger = Logger(service="end_run")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"run", "outcome", "reason"}` or `{"run", "outcome": "failed", "step", "error"}` in; the ending out."""
    run, outcome = event["run"], event["outcome"]
    reason = event.get("reason") or f"{event.get('step', 'a step')} failed: {words(event.get('error') or {})}"[:1500]
    ledger.end_run(run, outcome, reason, timestamp(datetime.now(UTC)))
    record = ledger.run(run)
    if record["outcome"] == outcome and not record.get("told"):
        review = f"penstock run {run} --model {settings.model} --stage {settings.stage}"
        measured = record["steps"].get("gates", {}).get("evaluation", {}).get("challenger") or {}
        said = [reason, *([first_numbers(measured)] if measured else [])]
        if outcome == "registered":
            review += f"\npenstock approve {settings.model} --stage {settings.stage} --reason '…'"
        notifier.tell(f"{settings.model}: run {run} {outcome}", "\n".join([*said, "", review, ""]))
        ledger.note_told(run)  # behind the notice: rather told twice, after a crash between the two, than never
    logger.info(reason, extra={"run": run, "outcome": outcome})
    return {"run": run, "outcome": outcome, "reason": reason}
