"""Revalidation of old data under a changed contract: which files to read again for which parts.

A changed contract applies to old data too, or one dataset version would hold rows of two contracts. The uploads are
read again as they came, so that a loosened rule accepts rows that it had refused. Where an upload no longer exists
(expired, or deleted as it held a subject's rows), the part itself is checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from penstock.aws.s3_store import Store
from penstock.contract.model import Contract
from penstock.datasets.version import Dataset, Part
from penstock.lake import Lake, split_uri
from penstock.ledger.ledger import Upload
from penstock.pipeline.inspection import FileFinding


@dataclass(frozen=True)
class Renewal:
    """One file to read again."""

    file: Upload
    sources: tuple[tuple[str, str], ...]
    """Place and URI of the uploads whose rows it holds."""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Read a renewal from the mapping that `asdict` returned."""
        return cls(Upload(**record["file"]), tuple((place, uri) for place, uri in record["sources"]))


def find_renewals(dataset: Dataset | None, contract: Contract, lake: Lake, store: Store) -> list[Renewal]:
    """List the files to read again to validate a dataset under this contract; empty if that was done already."""
    files: dict[str, Renewal] = {}
    for part in stale_parts(dataset, contract):
        missing = []
        for place, uri in part.sources:
            if uri not in files and (file := _upload(place, uri, store)) is not None:
                files[uri] = Renewal(file, ((place, uri),))
            elif uri not in files:
                missing.append((place, uri))
        if missing:
            files[part.sha256] = Renewal(_part(part, lake), tuple(missing))
    return list(files.values())


def stale_parts(dataset: Dataset | None, contract: Contract) -> list[Part]:
    """List the parts that were checked under another contract."""
    return [part for part in dataset.parts if part.rulings != contract.rulings] if dataset else []


def refused_uploads(results: Sequence[tuple[Renewal, FileFinding]]) -> Iterator[tuple[str, str]]:
    """List the uploads without any accepted row now: name in the ledger, and the reason."""
    refusals: dict[str, str] = {}
    accepted: set[str] = set()
    for item, finding in results:
        for place, _ in item.sources:
            name = place.split(" ", 2)[-1]
            if finding.parts:
                accepted.add(name)
            elif name:
                refusals[name] = finding.refusal or "no row is good"
    yield from ((name, reason) for name, reason in refusals.items() if name not in accepted)


def _upload(place: str, uri: str, store: Store) -> Upload | None:
    """Find the uploaded object of a part; None if it no longer exists."""
    key, _, version = split_uri(uri)[1].partition("?versionId=")
    size = store.size(key, version)
    if size is None:
        return None
    at, sequencer, _ = place.split(" ", 2) if place else ("", "", "")
    return Upload(key, version, "", size, at, sequencer=sequencer)


def _part(part: Part, lake: Lake) -> Upload:
    return Upload(lake.part(part.sha256), "null", part.sha256, part.size, "")
