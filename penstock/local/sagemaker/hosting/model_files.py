"""Fills `/opt/ml/model` of an endpoint's container; a model's archive is unpacked as untrusted input."""

import shutil
import tarfile
from pathlib import Path

from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core.record_store import Record


def provide(source: Record, directory: Path, transfer: Transfer) -> None:
    """Put a model's files into a directory, unless it exists.

    Args:
        source: an `S3DataSource`, or empty.
        directory: it is created only when it is complete.
        transfer: S3 with the permissions of the model's role.

    Raises:
        TransferError: an object is missing or cannot be read, or the artifact is not a valid .tar.gz.
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
    """Unpack an archive; the filter refuses devices, and members that lead out of the directory."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TransferError(f"{uri} is not a valid .tar.gz: {error}") from None
    finally:
        archive.unlink()
