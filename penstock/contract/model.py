"""The data contract as values: the columns an upload has, and every rule that its rows and the file must keep.

`penstock.contract.odcs` reads it from Open Data Contract Standard YAML. Kept apart, so that code which only applies a
contract loads neither YAML nor Pydantic.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

Type = Literal["string", "integer", "number", "boolean", "timestamp", "date"]
Role = Literal["feature", "target", "key", "event_time", "ignore"]
Unit = Literal["rows", "percent"]
TYPES: tuple[Type, ...] = ("string", "integer", "number", "boolean", "timestamp", "date")
Privacy = Literal["drop", "hash"]
ROLES: tuple[Role, ...] = ("feature", "target", "key", "event_time", "ignore")
ROW_HASH = "row_hash"
"""As a key column's `transformLogic`: a file without the column gets it, a hash of the row's other values."""


OWN_NAMES = {"_row", "_reasons", "_side", "_first", "*"}
"""Columns that are added to rows on their way, and what stands for all columns."""


def own_name(name: str) -> bool:
    """Whether a column cannot have that name: it means something else, or a pattern of names."""
    return name in OWN_NAMES or (name.startswith("^") and name.endswith("$"))


class ContractError(Exception):
    """A contract that cannot be used; the message says where and what to change."""


@dataclass(frozen=True)
class Bounds:
    """What a number must be: the operators of the standard."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def hold(self, number: float) -> bool:
        """Whether a number keeps them."""
        return not (
            (self.least is not None and number < self.least)
            or (self.most is not None and number > self.most)
            or (self.above is not None and number <= self.above)
            or (self.below is not None and number >= self.below)
        )

    def __str__(self) -> str:
        words = {"at least": self.least, "at most": self.most, "more than": self.above, "less than": self.below}
        return " and ".join(f"{word} {value:,g}" for word, value in words.items() if value is not None)


@dataclass(frozen=True)
class Column:
    """One column and what its values must be."""

    name: str
    type: Type
    role: Role
    required: bool = False
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str | int | float, ...] = ()
    nulls: Bounds | None = None
    """How many values of a file may be missing."""
    nulls_in: Unit = "rows"
    tolerance: float | None = None
    """Share of a file's rows (0–1) in which the column may be wrong; beyond it the file is refused."""
    personal: bool = False
    privacy: Privacy = "drop"
    """What becomes of a personal value before it is captured: left out, or a keyed hash."""
    derived: bool = False
    """Whether a file without this key gets it from its rows' content."""
    description: str = ""

    @property
    def numeric(self) -> bool:
        """Whether the model takes the column as a number."""
        return self.type in {"integer", "number", "boolean"}

    @property
    def hashed(self) -> bool:
        """Whether captures hold a keyed hash of the column."""
        return self.personal and self.privacy == "hash"


@dataclass(frozen=True)
class RowRule:
    """A rule over several columns."""

    bad: str
    """An SQL condition that is true for a bad row; one that is null is not."""
    sentence: str


@dataclass(frozen=True)
class Contract:
    """What an upload must look like, and what each column is for."""

    name: str
    version: str
    columns: tuple[Column, ...]
    tolerance: float
    """Share of bad rows (0–1) up to which a file is taken without them."""
    digest: str
    """SHA-256 (hex) of the contract file."""
    rules: tuple[RowRule, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    """Columns whose values taken together are unique."""
    row_count: Bounds | None = None
    max_age: float | None = None
    """Seconds that a file's newest event time may lie before its upload."""

    def role(self, role: Role) -> list[Column]:
        """The columns with a role, in order."""
        return [column for column in self.columns if column.role == role]

    @property
    def features(self) -> list[Column]:
        return self.role("feature")

    @property
    def target(self) -> Column:
        return self.role("target")[0]

    @property
    def key(self) -> Column:
        return self.role("key")[0]

    @property
    def event_time(self) -> Column | None:
        return next(iter(self.role("event_time")), None)

    @property
    def unique(self) -> list[tuple[str, ...]]:
        """What appears once in a file: columns, each alone or several together."""
        return [*((column.name,) for column in self.columns if column.unique), *self.together]

    @property
    def rulings(self) -> str:
        """SHA-256 (hex) of all that decides what becomes of a file: another comment or description changes nothing."""
        said = replace(self, name="", version="", digest="", columns=tuple(map(_bare, self.columns)))
        return hashlib.sha256(json.dumps(asdict(said), sort_keys=True).encode()).hexdigest()


def _bare(column: Column) -> Column:
    return replace(column, description="")
