"""What lies in `/opt/ml/model` of an endpoint's container: a model's artifact, unpacked without trust."""

import shutil
import tarfile
from pathlib import Path

from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core.record_store import Record


def provide(source: Record, directory: Path, transfer: Transfer) -> None:
    """Put a model's files into a directory, unless they are there from before.

    Args:
        source: an `S3DataSource`, or nothing.
        directory: it appears when it is complete, not before.
        transfer: S3 as the model's role sees it.

    Raises:
        TransferError: an object is missing or not to be read, or the artifact is no intact .tar.gz.
    """
    if directory.is_dir():
        return
    staging = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    if source:
        _fill(source, staging, transfer)
    staging.rename(directory)


def _fill(source: Record, target: Path, transfer: Transfer) -> None:
    if source.get("CompressionType") == "Gzip":
        archive = target.with_suffix(".tar.gz")
        transfer.fetch(source["S3Uri"], archive)
        _unpack(archive, target, source["S3Uri"])
    elif source.get("S3DataType") == "S3Object":
        transfer.fetch(source["S3Uri"], target / source["S3Uri"].rsplit("/", 1)[-1])
    else:
        transfer.download(source, target)


def _unpack(archive: Path, target: Path, uri: str) -> None:
    """Unpack; the filter refuses a member that leads out of the directory, and devices."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TransferError(f"{uri} is no intact .tar.gz: {error}") from None
    finally:
        archive.unlink()
