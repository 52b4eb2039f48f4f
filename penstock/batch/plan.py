"""The plan of a batch: what its parts have in common, stored beside them in S3."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from penstock.scoring.signature import Class


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a batch's parts have in common. Its fields are the keys of `plan.json`."""

    version: int
    """Of the model package."""
    sha256: str
    model_version_id: str
    """Version id of the model file's object; empty where the bucket keeps no versions."""
    rows: int
    bad: int
    """Rows that break the signature's rules; scoring may refuse more."""
    parts: int
    key: str | None
    """The row key's column, where the file has it."""
    classes: tuple[Class, ...]
    unknown: tuple[str, ...] = ()
    """Columns of the file that are neither scored nor the key."""

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        lists = {name: tuple(document[name]) for name in ("classes", "unknown")}
        return cls(**{**document, **lists})
