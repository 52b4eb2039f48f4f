"""Draft a first model folder from a sample of data, with a reason for each guess (`penstock init`).

Each column gets a type that its values fit (`penstock.scaffold.types`), a role, and a sentence for the comment in
`contract.yaml`. Guesses are cautious: a column that looks like a name, a note or a row number is not used as a feature,
and ranges have head-room. The user corrects the contract. `penstock.scaffold.files` writes the files.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from penstock.contract.model import Column, Contract, Role, Type, is_reserved_name
from penstock.contract.row_check import check
from penstock.scaffold.types import as_numbers, longest, present, snake_case, types_of
from penstock.spec.model import NAME, Task

FEW, MANY = 20, 200
"""Most distinct texts that are listed as the allowed values, and most distinct texts of a feature."""
EACH = 10
"""Least rows for each listed text, on average."""
MISSING = ["na", "n/a", "nan", "null", "none", "?", "-", "."]
"""Common placeholders for a missing value; the contract accepts only an empty cell as missing."""
EXACT = 2**53
KEY = "row_key"
TOLERANCE = 0.05
"""Share of bad rows that a first contract tolerates."""
PERSONAL = re.compile(
    r"(^|_)(e_?mail|phone|mobile|first_?name|last_?name|surname|full_?name|address|street|ssn|passport|iban)($|_)"
)
KEYED = re.compile(r"(^|_)(id|key|uuid|guid)$")
NUMBERED = re.compile(r"^(|index|unnamed.*|row|row_?(no|num|number|names?)|column_1|_duplicated_\d+)$")
Class = bool | int | str


class InitError(Exception):
    """No model folder can be drafted from the sample; the message says why and what to do."""


@dataclass(frozen=True)
class Guess:
    """One column of the draft, with the reason for its type and role."""

    column: Column
    why: str
    """A sentence for the comment."""


@dataclass(frozen=True)
class Draft:
    """The content of a model folder, before its files are written."""

    name: str
    source: str
    """The sample's file name."""
    rows: int
    task: Task
    classes: tuple[Class, ...]
    """The target's values, sorted, so that of two the first is negative; empty for a regression."""
    guesses: tuple[Guess, ...]
    left_out: Mapping[str, str]
    """Columns that are not in the contract, and why."""
    tolerance: float = TOLERANCE

    def role(self, role: Role) -> list[Column]:
        """Return the columns that have the role, in order."""
        return [guess.column for guess in self.guesses if guess.column.role == role]


def model_name(file_name: str) -> str:
    """Derive a model's name from a file's: `My Data (2).csv` becomes `my-data-2`."""
    stem = file_name.partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:30].strip("-")
    return name if NAME.fullmatch(name) else f"model-{name}".strip("-")[:30].strip("-")


def draft(table: pl.DataFrame, *, name: str, source: str, target: str, key: str | None = None) -> Draft:
    """Draft a model folder from a sample.

    Args:
        table: the sample; every column is text if the file was CSV.
        name: the model's name.
        source: the sample's file name.
        target: the column to predict.
        key: the column that identifies a row; None to guess it, or to derive it from the row's content.

    Raises:
        InitError: no such column, a key that is missing or repeated in some rows, or a target that cannot be learned.
    """
    _check_arguments(table, name, source, [target] if key is None else [target, key])
    reserved = [name for name in table.columns if is_reserved_name(name)]
    if clashes := [name for name in reserved if name in {target, key}]:
        raise InitError(f"the name {clashes[0]!r} is reserved: give the column another")
    types = types_of(table.drop(reserved))
    if target not in types:
        raise InitError(f"the target {target!r} is {table.schema[target]}: a column of plain values is needed")
    task, classes, target_guess = _guess_target(table[target], types[target])
    key_column = _guess_key(table, types, target) if key is None else _require_unique_key(table, key)
    time = _event_time_column(types, {target, key_column})
    guesses = [] if key_column else [_derived_key(set(table.columns))]
    for column in types:
        if column == target:
            guesses.append(target_guess)
        elif column == key_column:
            guesses.append(_key_guess(table[column], is_requested=key is not None))
        else:
            guesses.append(_guess_column(table[column], types[column], event_time=column == time))
    left_out = {
        column: "its name is reserved"
        if column in reserved
        else f"{table.schema[column]} is no plain value"
        if column.strip()
        else "it has no name"
        for column in table.columns
        if column not in types
    }
    result = Draft(name, source, table.height, task, classes, tuple(guesses), left_out)
    if not result.role("feature"):
        raise InitError(f"no column of {source} is left to learn from: all but {target!r} are names, notes or constant")
    return _with_tolerance(result, table)


def _check_arguments(table: pl.DataFrame, name: str, source: str, columns: list[str]) -> None:
    if not NAME.fullmatch(name) or len(name) > 30:
        raise InitError(f"{name!r} is no name for a model: lower-case letters, digits and hyphens (at most 30), --name")
    if missing := [column for column in columns if column not in table.columns]:
        raise InitError(f"{source} has no column {missing[0]!r}; there are {', '.join(table.columns)}")
    if len(set(columns)) < len(columns):
        raise InitError(f"{columns[0]!r} cannot be both the target and the key")
    if not table.height:
        raise InitError(f"{source} has no rows: a sample with rows is needed")


def _with_tolerance(draft: Draft, table: pl.DataFrame) -> Draft:
    """Return the draft with a tolerance that accepts its own sample."""
    columns = tuple(guess.column for guess in draft.guesses)
    share = check(Contract(draft.name, "", columns, draft.tolerance, ""), table).share
    if share > 0.5:
        raise InitError(
            f"{share:.0%} of the rows of {draft.source} have no target, or values of no one type: mend them"
        )
    return draft if share <= 0.8 * draft.tolerance else replace(draft, tolerance=math.ceil(share * 125) / 100)


def _guess_target(values: pl.Series, kind: Type) -> tuple[Task, tuple[Class, ...], Guess]:
    name, non_missing = values.name, present(values)
    non_missing = non_missing.drop_nans() if non_missing.dtype.is_float() else non_missing
    distinct = non_missing.n_unique()
    missing = len(values) - len(non_missing)
    refusal = f" {missing} rows have none and will be refused." if missing else ""
    if distinct < 2:
        raise InitError(f"the target {name!r} has {distinct} different values: nothing can be learned from that")
    if distinct == 2 and (result := _binary_classes(non_missing, kind)):
        column_type, classes = result
        column = Column(
            name, column_type, "target", required=True, allowed=() if column_type == "boolean" else tuple(classes)
        )
        return "binary", classes, Guess(column, f"Two values: a classification; positive is {classes[1]!r}.{refusal}")
    if distinct > 2 and (result := _multiclass_values(non_missing, kind)):
        column_type, classes = result
        why = f"{_about_classes(non_missing, kind, classes)}{refusal}"
        return "multiclass", classes, Guess(Column(name, column_type, "target", required=True, allowed=classes), why)
    if kind in {"integer", "number"}:
        few = ", fewer than an amount usually has, but not whole or too few rows each for classes"
        why = f"{distinct} different numbers{few if distinct <= FEW else ''}: a regression.{refusal}"
        return "regression", (), Guess(Column(name, kind, "target", required=True), why)
    raise InitError(
        f"the target {name!r} has {distinct} different values of type {kind} in {len(non_missing)} rows: a target has "
        f"two values, or up to {FEW} with {EACH} rows each on average, or is a number; make a column that is true for "
        "the value in question, and name that"
    )


def _binary_classes(values: pl.Series, kind: Type) -> tuple[Type, tuple[Class, ...]] | None:
    """Return the type and the two classes of a binary target; None if the values are not classes."""
    if kind == "boolean":
        return "boolean", (False, True)
    if kind == "string":
        return "string", tuple(sorted(values.cast(pl.String).unique().to_list()))
    if kind not in {"integer", "number"}:
        return None
    numbers = sorted(as_numbers(values).drop_nulls().unique().to_list())
    whole = len(numbers) == 2 and all(float(value).is_integer() and abs(value) < EXACT for value in numbers)
    return ("integer", tuple(int(value) for value in numbers)) if whole else None


def _multiclass_values(values: pl.Series, kind: Type) -> tuple[Type, tuple[Class, ...]] | None:
    """Return the type and the classes of a multiclass target; None if the values are not classes, or too many."""
    if kind not in {"string", "integer"} or not _is_enumerable(values.n_unique(), len(values)):
        return None
    if kind == "string":
        return "string", tuple(sorted(values.cast(pl.String).unique().to_list()))
    numbers = sorted(as_numbers(values).drop_nulls().unique().to_list())
    return None if any(abs(value) >= EXACT for value in numbers) else ("integer", tuple(map(int, numbers)))


def _about_classes(values: pl.Series, kind: Type, classes: tuple[Class, ...]) -> str:
    """Explain why the values are classes, how to switch to a regression, and which class is too rare."""
    words = f"{len(classes)} different {'whole numbers' if kind == 'integer' else 'texts'}: one class each"
    amount = "; is it an amount, take the allowed values out and make the task regression" if kind == "integer" else ""
    value, rows = Counter(values.to_list()).most_common()[-1]
    mend = f"a run needs {EACH} of each to train on and some in the holdout; more, or the value of another class"
    rare = f" Only {rows} rows are {value!r}: {mend}." if rows < 2 * EACH else ""
    return f"{words}{amount}.{rare}"


def _is_unique(values: pl.Series) -> bool:
    return len(present(values)) == len(values) == values.n_unique()


def _guess_key(table: pl.DataFrame, types: Mapping[str, Type], target: str) -> str | None:
    """Return the column that identifies a row: by its name, else the first text column of unique values."""
    candidates = [
        column
        for column in types
        if column != target and column.strip() and types[column] in {"string", "integer"} and _is_unique(table[column])
    ]
    by_name = [column for column in candidates if KEYED.search(snake_case(column))]
    # Free text is often unique too, so a key must not contain blanks.
    by_content = [
        column
        for column in candidates
        if types[column] == "string" and not PERSONAL.search(snake_case(column)) and _has_no_blanks(table[column])
    ]
    return next(iter([*by_name, *by_content]), None)


def _has_no_blanks(values: pl.Series) -> bool:
    return not values.cast(pl.String).str.contains(r"\s").any() and longest(values) <= 64


def _require_unique_key(table: pl.DataFrame, key: str) -> str:
    values = table[key]
    if len(present(values)) < len(values):
        raise InitError(f"--key {key}: {len(values) - len(present(values))} rows have none; a key is in every row")
    if (distinct := values.n_unique()) < len(values):
        raise InitError(
            f"--key {key}: {len(values) - distinct} rows have the key of another row; a key names one row. Without "
            "--key one is guessed, or made of the row's content"
        )
    return key


def _key_guess(values: pl.Series, *, is_requested: bool) -> Guess:
    column = Column(values.name, "string", "key", required=True, unique=True, max_length=2 * longest(values))
    return Guess(column, "As asked for." if is_requested else "Never missing and never the same twice in the sample.")


def _derived_key(column_names: set[str]) -> Guess:
    name = next(name for name in (KEY, f"_{KEY}", f"penstock_{KEY}", f"_penstock_{KEY}") if name not in column_names)
    column = Column(name, "string", "key", required=True, unique=True, derived=True)
    return Guess(
        column,
        "No column names a row, so its key is the hash of its content. A row that is corrected later will be another "
        "row: better is a column of your own.",
    )


def _event_time_column(types: Mapping[str, Type], excluded: set[str | None]) -> str | None:
    """Return the first timestamp column, else the first date column."""
    times = [
        (kind, column) for column, kind in types.items() if kind in {"timestamp", "date"} and column not in excluded
    ]
    return next((column for preference in ("timestamp", "date") for kind, column in times if kind == preference), None)


def _guess_column(values: pl.Series, kind: Type, *, event_time: bool) -> Guess:
    """Guess the role of a column that is neither target nor key."""
    non_missing = present(values)
    missing_rows = len(values) - len(non_missing)
    column = Column(values.name, kind, "feature", required=not missing_rows)
    note = f" Missing in {missing_rows} of {len(values)} rows." if missing_rows else ""
    if event_time:
        return Guess(replace(column, role="event_time"), f"When the row happened.{note}")
    if reason := _reason_to_ignore(values, non_missing, kind):
        ignored = replace(column, role="ignore", required=False)
        return Guess(replace(ignored, personal=PERSONAL.search(snake_case(values.name)) is not None), reason)
    if kind == "string":
        return _guess_text(non_missing.cast(pl.String), column, note)
    return Guess(column, f"True or false.{note}") if kind == "boolean" else _guess_number(non_missing, column, note)


def _reason_to_ignore(values: pl.Series, non_missing: pl.Series, kind: Type) -> str | None:
    """Say why a column should not be a feature; None if it should."""
    name = snake_case(values.name)
    distinct, rows = non_missing.n_unique(), len(non_missing)
    if PERSONAL.search(name):
        return "By its name of a person: not learned from, not kept."
    if kind in {"timestamp", "date"}:
        return f"A {kind} is nothing a model takes: make a number of it, such as an age."
    if distinct < 2:
        return "Always the same in the sample." if rows else "Empty in the sample."
    if kind == "integer" and distinct == len(values) and NUMBERED.match(name):
        return "By its name a row number."
    if kind == "integer" and 2 * distinct > rows and KEYED.search(name):
        return "By its name and its many values an identifier, not an amount."
    return _reason_to_ignore_text(non_missing.cast(pl.String)) if kind == "string" else None


def _reason_to_ignore_text(text: pl.Series) -> str | None:
    placeholders = text.filter(text.str.strip_chars().str.to_lowercase().is_in(MISSING))
    if len(placeholders) and as_numbers(text).count() == len(text) - len(placeholders):
        rows = len(placeholders)
        return (
            f"Numbers, but {placeholders[0]!r} stands in {rows} rows: leave missing values empty and it is a feature."
        )
    distinct, rows = text.n_unique(), len(text)
    if not _is_enumerable(distinct, rows) and (distinct > MANY or 2 * distinct > rows):
        return f"{distinct} different texts in {rows} rows: a name or a note, not learned from."
    return None


def _is_enumerable(distinct: int, rows: int) -> bool:
    """Return whether the texts are few enough to be listed as allowed values."""
    return distinct <= FEW and EACH * distinct <= rows


def _guess_text(text: pl.Series, column: Column, note: str) -> Guess:
    distinct = text.n_unique()
    if _is_enumerable(distinct, len(text)):
        values = tuple(sorted(text.unique().to_list()))
        return Guess(replace(column, allowed=values), f"The {distinct} values in the sample.{note}")
    why = f"{distinct} different texts, too many to list.{note}"
    return Guess(replace(column, max_length=2 * longest(text)), why)


def _guess_number(values: pl.Series, column: Column, note: str) -> Guess:
    numbers = as_numbers(values)
    bad_note = ""
    if bad_values := values.filter(numbers.is_null()).unique(maintain_order=True).to_list():
        bad_note = f" {numbers.null_count()} of no finite number ({bad_values[0]!r}): such rows will be refused."
    low, high = _bounds(numbers.drop_nulls())
    least, most = _widened_range(low, high) if (low, high) != (0, 1) else (0.0, 1.0)
    if column.type == "integer":
        least, most = math.floor(least), math.ceil(most)
    why = f"From {low:g} to {high:g}; the range has head-room.{note}{bad_note}"
    return Guess(replace(column, minimum=_plain(least), maximum=_plain(most)), why)


def _bounds(numbers: pl.Series) -> tuple[float, float]:
    low: Any = numbers.min()
    high: Any = numbers.max()
    return (0.0, 0.0) if low is None or high is None else (float(low), float(high))


def _widened_range(low: float, high: float) -> tuple[float, float]:
    """Widen a range by half of its width on either side, in round numbers, without crossing zero."""
    width = (high - low) or abs(high) or 1.0
    digits = 1 - math.floor(math.log10(width))
    step = 10.0**-digits
    least, most = math.floor((low - width / 2) / step) * step, math.ceil((high + width / 2) / step) * step
    least = 0.0 if low >= 0 > least else least
    most = 0.0 if high <= 0 < most else most
    return round(least, max(digits, 0)), round(most, max(digits, 0))


def _plain(number: float) -> float:
    """Return a whole number as an int, so that the file shows no `.0`, if a float holds it exactly."""
    return int(number) if float(number).is_integer() and abs(number) < EXACT else float(number)
