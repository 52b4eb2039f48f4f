"""The ledger: a record of what happened, to what, by whom and why, in DynamoDB.

Each stage has one table; `pk` is the model, `sk` the kind of record and its name. What must not happen twice is a
conditional write; what belongs together is one transaction. Decisions, endings and forgettings are only added.

    upload#<key>#<version id>     an uploaded object and its outcome
    waiting#<key>#<version id>    the same while no run has taken it
    run#<run>                     a run, its steps' results, its ending
    occasion#<occasion>           the alarm's change or the operator's request that a run was opened for
    lock#run, lock#rollout        the one that is under way
    dataset#<version>             a dataset version; `current` names the newest
    trained#<dataset>#<code>      the run that trained this code on this data
    version#<package version>     a registered model
    approval#<version>#<time>#<decision>  an approval, rejection, refusal or rollback, with who and why
    rollout#<rollout>             a rollout and its ending
    live                          what serves now
    batch#<batch>                 a file that is scored as a whole, and its ending
    batched#<work>                the batch that scored that file by that version
    drift#<time>                  a look of the monitor
    forgotten#<time>#<token>      a removal of a subject's rows: how many, by whom, why; the subject only as a hash
"""

from datetime import UTC, datetime

from penstock.ledger.batches import BatchRecords
from penstock.ledger.datasets import FORGETTING, PART_LIMIT, DatasetRecords
from penstock.ledger.releases import ReleaseRecords
from penstock.ledger.runs import TRY_LIMIT, UPLOAD_LIMIT, Lock, Run, Upload, UploadEnd
from penstock.ledger.table import NoRecordError, Record, StaleError

__all__ = [
    "FORGETTING",
    "PART_LIMIT",
    "TRY_LIMIT",
    "UPLOAD_LIMIT",
    "Ledger",
    "Lock",
    "NoRecordError",
    "Record",
    "Run",
    "StaleError",
    "Upload",
    "UploadEnd",
    "timestamp",
]


def timestamp(now: datetime) -> str:
    """Format a moment for the ledger: UTC, to the millisecond, sortable."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds")


class Ledger(DatasetRecords, ReleaseRecords, BatchRecords):
    """The records of one model."""
