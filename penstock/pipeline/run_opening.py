"""The opening of runs: one at a time for each model, named by a hash of its inputs.

Every event ends in the same question: is there something to do, and is no run under way? So an event that comes twice,
late or after a crash has no further effect.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from penstock.ledger.ledger import FORGETTING, UPLOAD_LIMIT, Ledger, Run, Upload, timestamp
from penstock.spec.model import Retraining

Trigger = Literal["upload", "alarm", "operator"]
SUSPECT = 2
"""Failed runs from which on an upload may be their cause."""
Start = Callable[[str], None]
"""Starts the pipeline's execution of a run; one that exists is no error."""


def run_id(model: str, uploads: Sequence[Upload], occasion: str) -> str:
    """Name a run: 12 hex digits of SHA-256 over its inputs.

    Args:
        model: its name.
        uploads: that the run takes.
        occasion: what triggers it where the uploads do not ("" for uploads).
    """
    content = sorted(f"{upload.name}#{upload.tries}" for upload in uploads)
    return hashlib.sha256("\n".join([model, occasion, *content]).encode()).hexdigest()[:12]


def open_next(
    ledger: Ledger, start: Start, *, trigger: Trigger, cause: str, occasion: str = "", by: str = "", now: datetime
) -> str:
    """Open a run for the waiting uploads, if no run is in progress.

    Args:
        ledger: of the model.
        start: starts the pipeline.
        trigger: an alarm or the operator opens a run even when nothing waits.
        cause: sentence for the record.
        occasion: identifies the alarm's change or the operator's request.
        by: ARN of the operator.
        now: the time.

    Returns:
        A sentence that says what was done.
    """
    holder = ledger.holder("run")
    if holder is not None and holder.startswith(FORGETTING):
        return "rows are being forgotten; what waits is taken after that"
    if holder is not None:
        # The process that opened it may have died before starting it: start it again, without effect where it runs.
        # If its execution had ended meanwhile, `start` has closed it, and another run may open.
        start(holder)
    if (holder := ledger.holder("run")) is not None:
        return f"run {holder} is under way; what waits is taken by the next one"
    uploads = _choose(ledger.waiting(), trigger)
    if trigger == "upload" and not any(upload.asks_for_run for upload in uploads):
        return "nothing new waits"
    run = Run(run_id(ledger.model, uploads, occasion), trigger, cause, uploads, timestamp(now), occasion, by)
    if not ledger.open_run(run):
        return f"run {run.id} is known, or another was opened first"
    start(run.id)
    return f"run {run.id} opened for {len(uploads)} uploads"


def _choose(waiting: Sequence[Upload], trigger: Trigger) -> tuple[Upload, ...]:
    """Choose the uploads of one run, in the order in which they were put.

    New uploads come first, so that no number of waiting ones keeps them out. Of uploads on which two runs failed a run
    takes one, so that the one that makes runs fail does not block the others; all of them where an operator asks.
    """
    suspects = [upload for upload in waiting if upload.tries >= SUSPECT]
    others = sorted((u for u in waiting if u.tries < SUSPECT), key=lambda upload: not upload.asks_for_run)
    extra = suspects if trigger == "operator" else suspects[:1]
    room = UPLOAD_LIMIT - min(len(extra), 1)
    chosen = [*others[:room], *extra][:UPLOAD_LIMIT]
    return tuple(sorted(chosen, key=lambda upload: upload.place))


def retraining_obstacle(ledger: Ledger, policy: Retraining, now: datetime) -> str | None:
    """Return why an alarm may not start a run now; None if it may."""
    if not policy.on_drift:
        return "retraining.on_drift is false in model.yaml"
    opened = [datetime.fromisoformat(str(run["opened"])) for run in ledger.runs() if run["trigger"] == "alarm"]
    if opened and now - max(opened) < timedelta(minutes=policy.cooldown_minutes):
        return f"the last alarm-started run is less than {policy.cooldown_minutes} minutes ago"
    today = [at for at in opened if now - at < timedelta(days=1)]
    if len(today) >= policy.per_day:
        return f"{len(today)} alarm-started runs in 24 hours, the most that model.yaml allows"
    return None
