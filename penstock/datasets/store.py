"""Reads dataset versions from the lake."""

from penstock.aws.s3_store import NoObjectError, Store
from penstock.datasets.version import Dataset
from penstock.lake import Lake
from penstock.ledger.ledger import Record


class OtherDatasetError(NoObjectError):
    """The file at a version's key is that of another version."""


def read_dataset(store: Store, lake: Lake, record: Record) -> Dataset:
    """Read the version of a ledger record and verify its digest.

    A run that was overtaken may have written the same file again. That makes the object version in the record an old
    one, and old ones expire.

    Raises:
        NoObjectError: it does not exist; as OtherDatasetError, the file is that of another version.
    """
    version, key = record["version"], lake.version(record["version"])
    dataset = Dataset.read(store.read_recorded(key, record.get("document")))
    if dataset.version != version:
        raise OtherDatasetError(
            f"dataset {version[:12]} as it was: its file in the lake is that of {dataset.version[:12]}"
        )
    return dataset
