"""The data contract: the columns of an upload, and the rules for its rows and for the file.

`penstock.contract.odcs` reads it from Open Data Contract Standard YAML. It is apart, so that code which only applies a
contract loads neither YAML nor Pydantic. `Contract.rulings` hashes the names of these fields, so they never change.
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
"""A key column's `transformLogic`: in a file without the column the key is a hash of the row's other values."""
RESERVED_NAMES = {"_row", "_reasons", "_side", "_first", "*"}
"""Columns that are added to rows internally, and the pattern for all columns."""


def is_reserved_name(name: str) -> bool:
    """Return whether no column may have that name: it is used internally, or is a pattern to Polars."""
    return name in RESERVED_NAMES or (name.startswith("^") and name.endswith("$"))


class ContractError(Exception):
    """A contract that cannot be used; the message says where and what to change."""


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number: the operators of the standard."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def include(self, number: float) -> bool:
        """Return whether a number is within the bounds."""
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
    """A column and the rules for its values."""

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
    """Bounds of a file's missing values."""
    nulls_in: Unit = "rows"
    tolerance: float | None = None
    """Share of a file's rows (0–1) in which the column may be wrong; beyond it the file is refused."""
    personal: bool = False
    privacy: Privacy = "drop"
    """What captures hold of a personal value: nothing, or a keyed hash."""
    derived: bool = False
    """Whether the key is derived from the row's content where a file lacks it."""
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
    """An SQL condition that is true for a bad row; a row for which it is null is good."""
    sentence: str


@dataclass(frozen=True)
class Contract:
    """The rules for uploads, and the role of each column."""

    name: str
    version: str
    columns: tuple[Column, ...]
    tolerance: float
    """Share of bad rows (0–1) up to which a file is accepted without them."""
    digest: str
    """SHA-256 (hex) of the contract file."""
    rules: tuple[RowRule, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    """Columns whose values are unique together."""
    row_count: Bounds | None = None
    max_age: float | None = None
    """Maximum seconds between a file's newest event time and its upload."""

    def role(self, role: Role) -> list[Column]:
        """Return the columns with a role, in order."""
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
        """Columns whose values occur once in a file, alone or together."""
        return [*((column.name,) for column in self.columns if column.unique), *self.together]

    @property
    def rulings(self) -> str:
        """SHA-256 (hex) of all rules: the same whatever comments and descriptions say."""
        rules = replace(self, name="", version="", digest="", columns=tuple(map(_without_description, self.columns)))
        return hashlib.sha256(json.dumps(asdict(rules), sort_keys=True).encode()).hexdigest()


def _without_description(column: Column) -> Column:
    return replace(column, description="")
