"""The people who started a run or brought its data, for four-eyes approval.

S3's event names the account and not the person, so `penstock push` leaves its caller's identity with the object, and
`penstock retrain` with the run. Both are what the caller states: where nobody must be able to state otherwise, set
`approval.approvers: 2`.
"""

from penstock.aws.s3_store import Store
from penstock.lake import RAW, prefix
from penstock.ledger.ledger import Ledger, Record
from penstock.release.approval import UNKNOWN


def find_initiators(ledger: Ledger, store: Store, run: str) -> list[str]:
    """Find the initiators' ARNs, each once, with `UNKNOWN` for an identity that is not recorded; an alarm has none."""
    record = ledger.run(run)
    initiators = [record.get("by") or UNKNOWN] if record["trigger"] == "operator" else []
    initiators += [_uploader(store, upload) for upload in record["uploads"] if _by_hand(upload, ledger.model)]
    return list(dict.fromkeys(initiators))


def _by_hand(upload: Record, model: str) -> bool:
    """Return whether a person uploaded the data; captured rows with their ground truth came from the monitor."""
    return str(upload["key"]).startswith(prefix(RAW, model))


def _uploader(store: Store, upload: Record) -> str:
    return store.uploader(upload["key"], upload["version_id"]) or UNKNOWN
