"""Dataset versions for several commands: read one from the lake, and say what erasures did to it."""

from penstock.aws.s3_store import Store
from penstock.cli.target import Target
from penstock.datasets.store import OtherDatasetError, read_dataset
from penstock.datasets.version import Dataset
from penstock.ledger.ledger import NoRecordError, Record


def load_dataset(target: Target, store: Store, record: Record) -> Dataset:
    """Read a dataset version from its manifest in the lake.

    Raises:
        NoRecordError: rows of it were erased, or its manifest was replaced.
    """
    if "forgotten" in record:
        raise NoRecordError(f"dataset {erasure_sentences(record)[0]}: it no longer exists as it was")
    try:
        return read_dataset(store, target.lake, record)
    except OtherDatasetError as error:
        raise NoRecordError(str(error)) from None


def erasure_sentences(record: Record) -> list[str]:
    """Describe each erasure that a dataset version's record mentions, a sentence each."""
    sentences = []
    if loss := record.get("forgotten"):
        successor = f"{loss['into'][:12]} replaced it" if loss["into"] else "no row was left"
        sentences.append(
            f"{record['version'][:12]} lost rows that {loss['by']} erased {loss['at']}: {successor} ({loss['reason']})"
        )
    if origin := record.get("forgetting"):
        sentences.append(
            f"replaced {record['replaces'][:12]}, without rows that {origin['by']} erased "
            f"{origin['at']} ({origin['reason']})"
        )
    return sentences
