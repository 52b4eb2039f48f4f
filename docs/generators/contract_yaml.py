"""The page on `contract.yaml`: the fields of the Open Data Contract Standard that are read, and our own properties.

The names come from the code that reads a contract. Each meaning is beside its name here, and a name without a meaning
(or a meaning without a name) fails the generation.
"""

from collections.abc import Collection, Mapping

from docs.generators.markdown import code, page, table
from penstock.contract import model, odcs, odcs_quality

STANDARD = "https://bitol-io.github.io/open-data-contract-standard/"
INTRODUCTION = f"""A contract is a document of the [Open Data Contract Standard]({STANDARD}), version 3, with one schema
object: the rows of an upload. Fields of the standard that are not on this page are for people and are not checked. A
*rule* that would not be checked is refused when the contract is read. [How to write one](../howto/contract.md)."""
TYPES = {
    "string": "Text.",
    "integer": "A whole number.",
    "number": "A number.",
    "boolean": "True or false.",
    "timestamp": "A moment; not for a feature.",
    "date": "A day; not for a feature.",
}
ROLES = {
    "feature": "Learned from, and a field of a request. Every column that has no other role.",
    "target": "What is predicted; never missing. Exactly one column.",
    "key": "Names a row. Written as `primaryKey: true`, on exactly one column: it decides the row's side of a split by "
    "key, and a row that comes again replaces the earlier one.",
    "event_time": "When the row happened. At most one timestamp or date: `split: {by: time}`, `dataset: {days: …}` and "
    "the freshness go by it.",
    "ignore": "Checked, and not kept.",
}
CUSTOM = {
    "role": ("a column", "One of the roles above."),
    "tolerance": (
        "the schema object, or a column",
        "At the schema object: the share of bad rows (0 to below 1) up to which a file is taken without them; 0 unless "
        "given. At a column: the share of rows in which that column may be wrong. Beyond either the file is refused.",
    ),
    "privacy": (
        "a personal column",
        "`drop` (the default): captures leave the value out. `hash`: captures hold a keyed hash of it. A personal row "
        "key is always hashed, because labels are joined by it.",
    ),
}
OPTIONS = {
    "minimum": "The least number.",
    "maximum": "The greatest number.",
    "minLength": "The fewest characters of a text.",
    "maxLength": "The most characters of a text.",
    "pattern": "A regular expression that the whole text matches; without look-around and back-references.",
    "format": "For people; not checked.",
}
COLUMN_FIELDS = [
    ("`required: true`", "A missing value makes the row bad. The key and the target are always required."),
    ("`unique: true`", "A value that comes again makes the later row bad. The key is always unique."),
    ("`primaryKey: true`", "The row key."),
    ("`classification: personal` (or `pii`)", "Scored, and not captured as it is: see `privacy`."),
    (
        f"`transformLogic: {model.ROW_HASH}`",
        "On the key, a string: a file without the column gets it, made of the row's content.",
    ),
    ("`description`", "Goes into the API's own document."),
]
COLUMN_RULES = [
    ("`{metric: invalidValues, arguments: {validValues: […]}, mustBe: 0}`", "a row", "The values that are allowed."),
    ("`{metric: duplicateValues, mustBe: 0}`", "a row", "The same as `unique: true`."),
    (
        "`{type: sql, query: 'SELECT COUNT(*) FROM … WHERE …', mustBe: 0}`",
        "a row",
        "A row for which the condition is true is bad.",
    ),
    ("`{metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent}`", "the file", "How many values may be missing."),
]
OBJECT_RULES = [
    (
        "`{metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0}`",
        "a row",
        "Several columns are unique together.",
    ),
    ("`{type: sql, query: 'SELECT COUNT(*) FROM … WHERE …', mustBe: 0}`", "a row", "As at a column."),
    ("`{metric: rowCount, mustBeBetween: [1, 1000000]}`", "the file", "How many rows a file may have."),
]
CHECKED = {"invalidValues", "duplicateValues", "nullValues", "rowCount"}


def contract_page() -> str:
    """Write every name that the reader of contracts knows, with its meaning."""
    longest = {
        seconds: max((u for u in odcs.SECONDS if odcs.SECONDS[u] == seconds), key=len)
        for seconds in odcs.SECONDS.values()
    }
    units = [longest[seconds] for seconds in sorted(longest)]
    operators = ["mustBe", "mustBeBetween", *odcs_quality.OPERATORS]
    _same(TYPES, model.TYPES)
    _same(ROLES, model.ROLES)
    _same(CUSTOM, odcs.CUSTOM_PROPERTIES)
    _same(OPTIONS, odcs.OPTIONS)
    for metric in CHECKED:
        if metric not in odcs_quality.COLUMN_MEND + odcs_quality.OBJECT_MEND:
            raise LookupError(f"{metric} is not among the rules that the reader of contracts names")
    return page(
        "`contract.yaml`",
        INTRODUCTION,
        "## Types (`logicalType`)",
        table(("Type", "Meaning"), _rows(TYPES)),
        "## Roles",
        table(("Role", "Meaning"), _rows(ROLES)),
        "## Our custom properties",
        "What the standard has no field for is a custom property, e.g. "
        "`customProperties: [{property: role, value: target}]`.",
        table(("Property", "At", "Meaning"), ((code(name), *about) for name, about in CUSTOM.items())),
        "## Fields of a column",
        table(("Field", "Meaning"), COLUMN_FIELDS),
        "## Options of a column (`logicalTypeOptions`)",
        table(("Option", "Meaning"), _rows(OPTIONS)),
        "## Rules (`quality`)",
        "A broken rule of a row sends the row to quarantine with the reason. A broken rule of the file refuses the "
        f"file. Numbers are compared by {', '.join(map(code, operators))}; `unit` is "
        f"{', '.join(code(unit) for unit in odcs_quality.UNITS if unit)}. Rules of `type: text` are for people.",
        "### At a column",
        table(("Rule", "Judges", "Meaning"), COLUMN_RULES),
        "### At the schema object",
        table(("Rule", "Judges", "Meaning"), OBJECT_RULES),
        "## Freshness (`slaProperties`)",
        f"One of {' or '.join(map(code, sorted(odcs.FRESHNESS)))} with a `value` above 0 and a `unit`: how old the "
        "newest event time of a file may be when it is uploaded; an older file is refused. Units, in the plural and "
        f"abbreviated: {', '.join(units)}. Other service levels are for people.",
    )


def _rows(meanings: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(code(name), meaning) for name, meaning in meanings.items()]


def _same(documented: Collection[str], read: Collection[str]) -> None:
    if difference := set(documented) ^ set(read):
        raise LookupError(f"docs/generators/contract_yaml.py and the reader differ in {', '.join(sorted(difference))}")
