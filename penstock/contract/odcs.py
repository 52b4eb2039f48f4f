"""Reads the data contract from Open Data Contract Standard v3 YAML.

What the standard has no field for is in `customProperties`: a column's `role` (`feature` by default; `target`,
`event_time`, `ignore`), a personal column's `privacy` (`drop` by default; `hash`), and the `tolerance`: on the schema
object the share of bad rows up to which a file is accepted without them, on a column the share of rows in which it may
be wrong. A rule that would not be checked is refused, except those of `type: text`, which are for people.
"""

import hashlib
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from open_data_contract_standard.model import (
    CustomProperty,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    ServiceLevelAgreementProperty,
)

from penstock import yamlfile
from penstock.contract.model import (
    ROLES,
    ROW_HASH,
    TYPES,
    Column,
    Contract,
    ContractError,
    Privacy,
    Role,
    is_reserved_name,
)
from penstock.contract.odcs_quality import column_quality, object_quality

OPTIONS = {"minimum", "maximum", "minLength", "maxLength", "pattern", "format"}
FRESHNESS = {"latency", "freshness"}
"""Names of the service level: the standard's, and that of other tools."""
CUSTOM_PROPERTIES = ("role", "tolerance", "privacy")
"""Custom properties of Penstock; others are ignored."""
SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600}
SECONDS |= {"d": 86400, "day": 86400, "w": 604800, "week": 604800, "y": 31557600, "yr": 31557600, "year": 31557600}


def read_contract(folder: Path) -> Contract:
    """Read the contract of a model folder.

    Raises:
        ContractError: naming file and field.
    """
    path = folder / "contract.yaml"
    try:
        document = yamlfile.read(path, OpenDataContractStandard)
    except yamlfile.FileError as error:
        raise ContractError(str(error)) from None
    try:
        return _contract(document, hashlib.sha256(path.read_bytes()).hexdigest())
    except ContractError as error:
        raise ContractError(f"{path}: {error}") from None


def _contract(document: OpenDataContractStandard, digest: str) -> Contract:
    if not (document.apiVersion or "").startswith("v3."):
        raise ContractError(f"apiVersion: {document.apiVersion!r} is not version 3 of the standard: write v3.1.0")
    if document.schema_ is None or len(document.schema_) != 1:
        raise ContractError("schema: one object is expected, the rows of an upload")
    rows: SchemaObject = document.schema_[0]
    columns = tuple(_column(item) for item in rows.properties or [])
    quality = object_quality(rows.quality or [], rows.name or "", [column.name for column in columns])
    column_rules = [rule for item in rows.properties or [] for rule in column_quality(item).rules]
    contract = Contract(
        name=document.name or document.id or rows.name or "",
        version=document.version or "",
        columns=columns,
        tolerance=_tolerance(_custom(rows.customProperties, "tolerance", 0.0), "schema"),
        digest=digest,
        rules=(*column_rules, *quality.rules),
        together=quality.together,
        row_count=quality.row_count,
        max_age=_max_age(document.slaProperties or [], columns),
    )
    _check_roles(contract)
    return contract


def _check_roles(contract: Contract) -> None:
    names = [column.name for column in contract.columns]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ContractError(f"schema: the column {min(twice)!r} occurs twice")
    singles: list[tuple[Role, str]] = [
        ("key", "primaryKey: true"),
        ("target", "customProperties: [{property: role, value: target}]"),
    ]
    for role, mend in singles:
        if len(contract.role(role)) != 1:
            raise ContractError(f"schema: exactly one column is the {role} ({mend}), not {len(contract.role(role))}")
    if len(contract.role("event_time")) > 1:
        raise ContractError("schema: at most one column is the event_time")
    if not contract.features:
        raise ContractError("schema: no column is a feature, there is nothing to learn from")


def _column(item: SchemaProperty) -> Column:
    if not item.name:
        raise ContractError("schema.properties: a column has no name")
    if is_reserved_name(item.name):
        raise ContractError(f"column {item.name!r}: the name is reserved: give it another")
    try:
        return _named_column(item, item.name)
    except ContractError as error:
        raise ContractError(f"column {item.name!r}: {error}") from None


def _named_column(item: SchemaProperty, name: str) -> Column:
    options = item.logicalTypeOptions or {}
    if unknown := set(options) - OPTIONS:
        raise ContractError(f"logicalTypeOptions: {min(unknown)!r} is not one of {', '.join(sorted(OPTIONS))}")
    if item.logicalType not in TYPES:
        raise ContractError(f"logicalType: {item.logicalType!r} is not one of {', '.join(TYPES)}")
    role = _custom(item.customProperties, "role", "key" if item.primaryKey else "feature")
    if role not in ROLES:
        raise ContractError(f"role: {role!r} is not one of {', '.join(ROLES)}")
    quality = column_quality(item)
    tolerance = _custom(item.customProperties, "tolerance", None)
    column = Column(
        name=name,
        type=item.logicalType,
        role=cast("Role", role),
        required=bool(item.required) or role in {"key", "target"},
        unique=bool(item.unique) or role == "key" or quality.unique,
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        pattern=options.get("pattern"),
        allowed=quality.allowed,
        nulls=quality.nulls,
        nulls_in=quality.nulls_in,
        tolerance=None if tolerance is None else _tolerance(tolerance, "column"),
        personal=_is_personal(item),
        privacy=_privacy(item, role),
        derived=item.transformLogic == ROW_HASH,
        description=item.description or "",
    )
    if item.transformLogic and (item.transformLogic != ROW_HASH or (column.role, column.type) != ("key", "string")):
        raise ContractError(
            f"transformLogic: the only value that can be computed is {ROW_HASH!r}, a key of type string"
        )
    _check_options(column)
    if column.role == "feature" and column.type in {"timestamp", "date"}:
        raise ContractError(
            "a model takes numbers, booleans and strings; give the column the role event_time or ignore"
        )
    return column


def _is_personal(item: SchemaProperty) -> bool:
    return (item.classification or "").strip().lower() in {"personal", "pii"}


def _privacy(item: SchemaProperty, role: str) -> Privacy:
    """Return what captures hold of a column; labels are joined by the row key, so it is never dropped."""
    is_personal, privacy = _is_personal(item), _custom(item.customProperties, "privacy", None)
    if privacy not in (None, "drop", "hash"):
        raise ContractError(f"privacy: {privacy!r} is not one of drop, hash")
    if privacy and not is_personal:
        raise ContractError("privacy: it is for personal columns; say classification: personal, or leave it out")
    if not is_personal or role != "key":
        return privacy or "drop"
    if privacy == "drop":
        raise ContractError("privacy: a row key is hashed, labels are joined by it; leave it out, or say hash")
    if item.logicalType != "string":
        raise ContractError("logicalType: a personal row key is captured as a keyed hash, which is text: say string")
    return "hash"


def _check_options(column: Column) -> None:
    text = [name for name in ("min_length", "max_length", "pattern") if getattr(column, name) is not None]
    if text and column.type != "string":
        raise ContractError(f"logicalTypeOptions: {text[0]} is for strings, this column is {column.type}")
    bounds = [name for name in ("minimum", "maximum") if getattr(column, name) is not None]
    if bounds and column.type not in {"integer", "number"}:
        raise ContractError(f"logicalTypeOptions: {bounds[0]} is for numbers, this column is {column.type}")
    if invalid := [name for name in bounds if not isinstance(getattr(column, name), int | float)]:
        raise ContractError(f"logicalTypeOptions: {invalid[0]} is {getattr(column, invalid[0])!r}, a number is needed")
    for low, high in (("minimum", "maximum"), ("min_length", "max_length")):
        least, most = getattr(column, low), getattr(column, high)
        if least is not None and most is not None and least > most:
            raise ContractError(f"logicalTypeOptions: {low} {least} is above {high} {most}")
    if column.pattern is not None and (fault := _pattern_fault(column.pattern)):
        raise ContractError(f"logicalTypeOptions: pattern {column.pattern!r} {fault}")
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    kind = kinds.get(column.type, ())
    if misfits := [value for value in column.allowed if not isinstance(value, kind)]:
        raise ContractError(f"quality: the valid value {misfits[0]!r} is no {column.type}")


def _pattern_fault(pattern: str) -> str | None:
    """Return why a pattern cannot be used; the engines for rows and requests lack look-around and back-references."""
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no regular expression: {error}"
    match = re.search(r"\(\?(=|!|<=|<!|P=|\(|#|>|[a-zA-Z]*x)|\\[1-9Z]|\{,\d|[*+?}]\+", pattern)
    return f"uses {match[0]!r}, which cannot be checked in a column" if match else None


def _max_age(levels: Sequence[ServiceLevelAgreementProperty], columns: Sequence[Column]) -> float | None:
    """Return the service level `latency` of the event time, in seconds; other levels are for people."""
    latencies = [level for level in levels if level.property in FRESHNESS]
    if not latencies:
        return None
    if len(latencies) > 1:
        raise ContractError(f"slaProperties: at most one of {' and '.join(sorted(FRESHNESS))}, not {len(latencies)}")
    level = latencies[0]
    times = [column.name for column in columns if column.role == "event_time"]
    if not times or (level.element or times[0]).rpartition(".")[2] != times[0]:
        raise ContractError(
            f"slaProperties: {level.property} is measured by the column with the role event_time"
            + (f", {times[0]!r}, not {level.element!r}" if times else ", and there is none")
        )
    unit = SECONDS.get((level.unit or "").rstrip("s") or (level.unit or ""))
    if unit is None:
        raise ContractError(
            f"slaProperties: {level.property}: the unit {level.unit!r} is not one of s, min, h, d, w, y"
        )
    if isinstance(level.value, bool) or not isinstance(level.value, int | float) or level.value <= 0:
        raise ContractError(f"slaProperties: {level.property}: {level.value!r} is no number of {level.unit} above 0")
    return float(level.value * unit)


def _tolerance(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        prefix = "schema.customProperties" if where == "schema" else "customProperties"
        raise ContractError(f"{prefix}: tolerance is a share from 0 to below 1, not {value!r}")
    return float(value)


def _custom(properties: Sequence[CustomProperty] | None, name: str, default: object) -> Any:
    for item in properties or []:
        if item.property not in CUSTOM_PROPERTIES and (
            close := get_close_matches(str(item.property).lower(), CUSTOM_PROPERTIES, 1, 0.75)
        ):
            raise ContractError(f"customProperties: {item.property!r} is no known property: is {close[0]!r} meant?")
    return next((item.value for item in properties or [] if item.property == name), default)
