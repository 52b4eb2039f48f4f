"""Dataset versions as they lie in the lake."""

from penstock.aws.s3_store import NoObjectError, Store
from penstock.datasets.version import Dataset
from penstock.lake import Lake
from penstock.ledger.ledger import Record


class OtherDatasetError(NoObjectError):
    """What lies at a version's place is another one's file."""


def read_dataset(store: Store, lake: Lake, record: Record) -> Dataset:
    """The version of a ledger record, digest checked.

    A run that was overtaken may have written the same once more, which makes the object version of the record an old
    one, and old ones expire.

    Raises:
        NoObjectError: it is not there; as OtherDatasetError, what is there is not that version.
    """
    version, key = record["version"], lake.version(record["version"])
    dataset = Dataset.read(store.read_recorded(key, record.get("document")))
    if dataset.version != version:
        said = f"dataset {version[:12]} as it was: its file in the lake is that of {dataset.version[:12]}"
        raise OtherDatasetError(said)
    return dataset
