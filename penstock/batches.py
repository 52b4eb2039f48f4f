"""A batch's names and its plan, shared by the functions that plan, score and join it.

The work is named by what goes into it, the file's content and the live version's file, so that a batch that was killed,
or the same file pushed once more, finds the parts that are scored already. Light: the scoring function imports it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from penstock.lake import Lake
from penstock.scoring.signature import Class

FORM = "1"
"""Of the parts: raised when rows are dealt or scored differently, so that no batch mixes the two."""
PLAN = "plan.json"
PARTS, SCORED = "parts/", "scored/"
REASON = "reason"
OWN = {"row", "id", "score", "label", "version", "scores", REASON}
"""Columns of output and errors."""
KEY = "key"
"""There the row key's column, where its own name is one of them."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a batch's parts have in common."""

    version: int
    """Of the model package."""
    sha256: str
    model_version_id: str
    """Which version of the model file's object; empty where the bucket keeps none."""
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
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """What `document` gave."""
        lists = {name: tuple(document[name]) for name in ("classes", "unknown")}
        return cls(**{**document, **lists})


def batch_id(model: str, key: str, version_id: str) -> str:
    """A batch's name, of the object version that was put: 12 hex digits."""
    return _digest(model, key, version_id)[:12]


def work_id(content: str, version: int, model_file: str, key: str, part_rows: int) -> str:
    """The work's name: 16 hex digits of SHA-256 over all that decides what is in its parts.

    Args:
        content: SHA-256 of the file, with its ending, which says how it is read.
        version: the live one.
        model_file: SHA-256 of its file.
        key: the row key's column and type.
        part_rows: most rows of a part.
    """
    return _digest(FORM, content, str(version), model_file, key, str(part_rows))[:16]


def inference_id(work: str, row: int) -> str:
    """What a row's answer is known by; the same in each attempt. `row` counts from 1, without the header."""
    return f"{work}-{row}"


def part_key(lake: Lake, work: str, part: int) -> str:
    """Where a part's rows are."""
    return lake.batch_work(work, f"{PARTS}{part:06}.jsonl")


def scored_key(lake: Lake, work: str, part: int) -> str:
    """Where a part's scores are."""
    return lake.batch_work(work, f"{SCORED}{part:06}.jsonl")


def _digest(*values: str) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()
