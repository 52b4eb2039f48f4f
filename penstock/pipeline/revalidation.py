"""Parts that were checked under another contract: from which files to make them anew.

A changed contract judges old data too, or one dataset version would hold rows of two minds. The uploads are read again
as they came, so that a rule that was loosened takes back what it had refused. Where an upload is gone (expired, or
deleted since it held a subject's rows), the part itself is checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from penstock.aws.s3_store import Store
from penstock.contract.model import Contract
from penstock.datasets.version import Dataset, Part
from penstock.lake import Lake, split_uri
from penstock.ledger.ledger import Upload
from penstock.pipeline.inspection import Found


@dataclass(frozen=True)
class Renewal:
    """One file to read again."""

    file: Upload
    sources: tuple[tuple[str, str], ...]
    """Place and URI of the uploads whose rows it holds."""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """What `asdict` made of one."""
        return cls(Upload(**record["file"]), tuple((place, uri) for place, uri in record["sources"]))


def renewals(dataset: Dataset | None, contract: Contract, lake: Lake, store: Store) -> list[Renewal]:
    """What has to be read again for a dataset to be of this contract; nothing where it is."""
    found: dict[str, Renewal] = {}
    for part in stale(dataset, contract):
        gone = []
        for place, uri in part.sources:
            if uri not in found and (file := _upload(place, uri, store)) is not None:
                found[uri] = Renewal(file, ((place, uri),))
            elif uri not in found:
                gone.append((place, uri))
        if gone:
            found[part.sha256] = Renewal(_part(part, lake), tuple(gone))
    return list(found.values())


def stale(dataset: Dataset | None, contract: Contract) -> list[Part]:
    """Parts that were checked under another contract."""
    return [part for part in dataset.parts if part.rulings != contract.rulings] if dataset else []


def refused(renewed: Sequence[tuple[Renewal, Found]]) -> Iterator[tuple[str, str]]:
    """Uploads none of whose rows is taken any more: name in the ledger, and why."""
    lost: dict[str, str] = {}
    kept: set[str] = set()
    for item, found in renewed:
        for place, _ in item.sources:
            name = place.split(" ", 2)[-1]
            if found.parts:
                kept.add(name)
            elif name:
                lost[name] = found.refusal or "no row is good"
    yield from ((name, reason) for name, reason in lost.items() if name not in kept)


def _upload(place: str, uri: str, store: Store) -> Upload | None:
    """The object as it was uploaded; None where it is gone."""
    key, _, version = split_uri(uri)[1].partition("?versionId=")
    size = store.size(key, version)
    if size is None:
        return None
    at, sequencer, _ = place.split(" ", 2) if place else ("", "", "")
    return Upload(key, version, "", size, at, sequencer=sequencer)


def _part(part: Part, lake: Lake) -> Upload:
    return Upload(lake.part(part.sha256), "null", part.sha256, part.size, "")
