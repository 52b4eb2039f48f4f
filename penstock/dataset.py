"""Dataset versions: parts in order, named by the hash of what is in them.

A part is a Parquet file of accepted rows, named by its own digest. A version is a list of parts under a contract; the
same parts under the same contract are the same version, whoever uploaded them and however often.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from penstock.spec import Split

Side = Literal["train", "validation", "holdout"]


@dataclass(frozen=True)
class Part:
    """One immutable Parquet file of accepted rows."""

    sha256: str
    rows: int
    size: int
    """Bytes."""
    uploads: tuple[str, ...]
    """`s3://…?versionId=…` of what it was made from."""


@dataclass(frozen=True)
class Dataset:
    """A dataset version."""

    model: str
    contract: str
    """Digest of the contract that the rows were checked against."""
    parts: tuple[Part, ...]

    @property
    def version(self) -> str:
        """SHA-256 (hex) of contract and parts, in order."""
        content = [self.model, self.contract, *(part.sha256 for part in self.parts)]
        return hashlib.sha256("\n".join(content).encode()).hexdigest()

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def with_parts(self, parts: Iterable[Part], *, contract: str, replace: bool) -> "Dataset":
        """The next version: parts added (those it already has are not added again), or in place of all others."""
        kept = () if replace else self.parts
        known = {part.sha256 for part in kept}
        fresh = {part.sha256: part for part in parts if part.sha256 not in known}
        return Dataset(model=self.model, contract=contract, parts=(*kept, *fresh.values()))

    def document(self) -> str:
        """The version as JSON, the file under `datasets/…/versions/`."""
        return json.dumps({"version": self.version, "rows": self.rows} | asdict(self), indent=1)

    @classmethod
    def read(cls, document: str | bytes) -> Self:
        """The version of a JSON document."""
        data = json.loads(document)
        parts = tuple(Part(**part | {"uploads": tuple(part["uploads"])}) for part in data["parts"])
        return cls(model=data["model"], contract=data["contract"], parts=parts)

    def manifest(self, folder_uri: str) -> list[Any]:
        """SageMaker's `ManifestFile`: a prefix and the files below it."""
        return [{"prefix": folder_uri}, *(f"{part.sha256}.parquet" for part in self.parts)]


def side(key: str, split: Split) -> Side:
    """Which side a row is on: decided by its key alone, so always the same one."""
    digest = hashlib.blake2b(f"{split.salt}\0{key}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64
    if place < split.holdout:
        return "holdout"
    return "validation" if place < split.holdout + split.validation else "train"


def sides(keys: Sequence[str], split: Split) -> list[Side]:
    """`side` for many rows."""
    return [side(key, split) for key in keys]
