"""Who started a run or brought its data, for four eyes.

S3's event names the account and not the person, so `penstock push` leaves its caller's identity with the object, and
`penstock retrain` with the run. Both are what the caller says: whoever must not be able to say otherwise needs
`approval.approvers: 2`.
"""

from penstock.aws.s3_store import Store
from penstock.lake import RAW, prefix
from penstock.ledger.ledger import Ledger, Record
from penstock.release.approval import UNKNOWN


def starters(ledger: Ledger, store: Store, run: str) -> list[str]:
    """ARNs, each once; `UNKNOWN` among them where somebody did it and nobody knows who. An alarm is nobody."""
    record = ledger.run(run)
    found = [record.get("by") or UNKNOWN] if record["trigger"] == "operator" else []
    found += [_uploader(store, upload) for upload in record["uploads"] if _by_hand(upload, ledger.model)]
    return list(dict.fromkeys(found))


def _by_hand(upload: Record, model: str) -> bool:
    """Captured rows with their ground truth came from the monitor."""
    return str(upload["key"]).startswith(prefix(RAW, model))


def _uploader(store: Store, upload: Record) -> str:
    return store.uploader(upload["key"], upload["version_id"]) or UNKNOWN
