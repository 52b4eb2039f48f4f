"""A first model folder from a sample of data: what `penstock init` guesses, and why it guesses it.

Each column gets a type that its values fit (`penstock.scaffold.types`), a role, and a sentence for the comment in
`contract.yaml`. A guess is on the safe side: a column that looks like a name, a note or a row number is not learned
from, a range has head-room. The contract is the owner's to correct. `penstock.scaffold.files` writes the files.
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
from penstock.scaffold.types import as_numbers, longest, present, snake, types_of
from penstock.spec.model import NAME, Task

FEW, MANY = 20, 200
"""Different texts up to which they are listed as the allowed ones, and up to which a text is a feature."""
EACH = 10
"""Rows of each text, on average, where texts are listed."""
MISSING = ["na", "n/a", "nan", "null", "none", "?", "-", "."]
"""What files write for a missing value; only an empty cell is one."""
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
    """No model folder can be drafted from this; the message says why and what to do."""


@dataclass(frozen=True)
class Guess:
    """One column of the draft."""

    column: Column
    why: str
    """A sentence for the comment."""


@dataclass(frozen=True)
class Draft:
    """A model folder, before it is written."""

    name: str
    source: str
    """The sample's file name."""
    rows: int
    task: Task
    classes: tuple[Class, ...]
    """The target's values, sorted: of two the negative first; a regression has none."""
    guesses: tuple[Guess, ...]
    left_out: Mapping[str, str]
    """Columns that are not in the contract, and why."""
    tolerance: float = TOLERANCE

    def role(self, role: Role) -> list[Column]:
        """The columns with a role, in order."""
        return [guess.column for guess in self.guesses if guess.column.role == role]


def model_name(file_name: str) -> str:
    """A model's name from a file's: `My Data (2).csv` is `my-data-2`."""
    stem = file_name.partition(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:30].strip("-")
    return name if NAME.fullmatch(name) else f"model-{name}".strip("-")[:30].strip("-")


def draft(table: pl.DataFrame, *, name: str, source: str, target: str, key: str | None = None) -> Draft:
    """The draft for a sample.

    Args:
        table: the sample; where it came as text (CSV), all of it is text.
        name: the model's.
        source: the sample's file name.
        target: the column to predict.
        key: the column that names a row; guessed, or made of the row's content, where it is None.

    Raises:
        InitError: no such column, a key that is none, or a target that cannot be learned.
    """
    _check_asked(table, name, source, [target] if key is None else [target, key])
    own = [name for name in table.columns if is_reserved_name(name)]
    if reserved := [name for name in own if name in {target, key}]:
        raise InitError(f"the name {reserved[0]!r} has a meaning of its own here: give the column another")
    fit = types_of(table.drop(own))
    if target not in fit:
        raise InitError(f"the target {target!r} is {table.schema[target]}: a column of plain values is needed")
    task, classes, about_target = _target(table[target], fit[target])
    found_key = _key(table, fit, target) if key is None else _given_key(table, key)
    time = _event_time(fit, {target, found_key})
    guesses = [] if found_key else [_made_key(set(table.columns))]
    for column in fit:
        if column == target:
            guesses.append(about_target)
        elif column == found_key:
            guesses.append(_about_key(table[column], given=key is not None))
        else:
            guesses.append(_guess(table[column], fit[column], event_time=column == time))
    left_out = {
        column: "its name has a meaning of its own here"
        if column in own
        else f"{table.schema[column]} is no plain value"
        if column.strip()
        else "it has no name"
        for column in table.columns
        if column not in fit
    }
    made = Draft(name, source, table.height, task, classes, tuple(guesses), left_out)
    if not made.role("feature"):
        raise InitError(f"no column of {source} is left to learn from: all but {target!r} are names, notes or constant")
    return _proven(made, table)


def _check_asked(table: pl.DataFrame, name: str, source: str, columns: list[str]) -> None:
    if not NAME.fullmatch(name) or len(name) > 30:
        raise InitError(f"{name!r} is no name for a model: lower-case letters, digits and hyphens (at most 30), --name")
    if missing := [column for column in columns if column not in table.columns]:
        raise InitError(f"{source} has no column {missing[0]!r}; there are {', '.join(table.columns)}")
    if len(set(columns)) < len(columns):
        raise InitError(f"{columns[0]!r} cannot be both the target and the key")
    if not table.height:
        raise InitError(f"{source} has no rows: a sample with rows is needed")


def _proven(made: Draft, table: pl.DataFrame) -> Draft:
    """The draft with a tolerance under which its own sample is taken."""
    columns = tuple(guess.column for guess in made.guesses)
    share = check(Contract(made.name, "", columns, made.tolerance, ""), table).share
    if share > 0.5:
        raise InitError(f"{share:.0%} of the rows of {made.source} have no target, or values of no one type: mend them")
    return made if share <= 0.8 * made.tolerance else replace(made, tolerance=math.ceil(share * 125) / 100)


def _target(values: pl.Series, kind: Type) -> tuple[Task, tuple[Class, ...], Guess]:
    name, kept = values.name, present(values)
    kept = kept.drop_nans() if kept.dtype.is_float() else kept
    distinct = kept.n_unique()
    missing = len(values) - len(kept)
    gone = f" {missing} rows have none and will be refused." if missing else ""
    if distinct < 2:
        raise InitError(f"the target {name!r} has {distinct} different values: nothing can be learned from that")
    if distinct == 2 and (found := _classes(kept, kind)):
        column_type, classes = found
        column = Column(
            name, column_type, "target", required=True, allowed=() if column_type == "boolean" else tuple(classes)
        )
        return "binary", classes, Guess(column, f"Two values: a classification; positive is {classes[1]!r}.{gone}")
    if distinct > 2 and (found := _several(kept, kind)):
        column_type, classes = found
        why = f"{_about_classes(kept, kind, classes)}{gone}"
        return "multiclass", classes, Guess(Column(name, column_type, "target", required=True, allowed=classes), why)
    if kind in {"integer", "number"}:
        few = ", fewer than an amount usually has, but not whole or too few rows each for classes"
        why = f"{distinct} different numbers{few if distinct <= FEW else ''}: a regression.{gone}"
        return "regression", (), Guess(Column(name, kind, "target", required=True), why)
    raise InitError(
        f"the target {name!r} has {distinct} different values of type {kind} in {len(kept)} rows: a target has two "
        f"values, or up to {FEW} with {EACH} rows each on average, or is a number; make a column that is true for the "
        "value in question, and name that"
    )


def _classes(kept: pl.Series, kind: Type) -> tuple[Type, tuple[Class, ...]] | None:
    """The type and the two values of a classification's target; None where they are no classes."""
    if kind == "boolean":
        return "boolean", (False, True)
    if kind == "string":
        return "string", tuple(sorted(kept.cast(pl.String).unique().to_list()))
    if kind not in {"integer", "number"}:
        return None
    values = sorted(as_numbers(kept).drop_nulls().unique().to_list())
    whole = len(values) == 2 and all(float(value).is_integer() and abs(value) < EXACT for value in values)
    return ("integer", tuple(int(value) for value in values)) if whole else None


def _several(kept: pl.Series, kind: Type) -> tuple[Type, tuple[Class, ...]] | None:
    """The type and the values of a target of three classes or more; None where they are none, or too many."""
    if kind not in {"string", "integer"} or not _listed(kept.n_unique(), len(kept)):
        return None
    if kind == "string":
        return "string", tuple(sorted(kept.cast(pl.String).unique().to_list()))
    values = sorted(as_numbers(kept).drop_nulls().unique().to_list())
    return None if any(abs(value) >= EXACT for value in values) else ("integer", tuple(map(int, values)))


def _about_classes(kept: pl.Series, kind: Type, classes: tuple[Class, ...]) -> str:
    """Why they are classes, with what to change where they are amounts, and the rarest where it is rare."""
    words = f"{len(classes)} different {'whole numbers' if kind == 'integer' else 'texts'}: one class each"
    amount = "; is it an amount, take the allowed values out and make the task regression" if kind == "integer" else ""
    value, rows = Counter(kept.to_list()).most_common()[-1]
    mend = f"a run needs {EACH} of each to train on and some in the holdout; more, or the value of another class"
    rare = f" Only {rows} rows are {value!r}: {mend}." if rows < 2 * EACH else ""
    return f"{words}{amount}.{rare}"


def _unique(values: pl.Series) -> bool:
    return len(present(values)) == len(values) == values.n_unique()


def _key(table: pl.DataFrame, fit: Mapping[str, Type], target: str) -> str | None:
    """The column that names a row: by its name, else text that is never the same twice."""
    whole = [c for c in fit if c != target and c.strip() and fit[c] in {"string", "integer"} and _unique(table[c])]
    named = [column for column in whole if KEYED.search(snake(column))]
    # Free text may be unique by chance or by length; a key has no blanks in it.
    words = [c for c in whole if fit[c] == "string" and not PERSONAL.search(snake(c)) and _one_word(table[c])]
    return next(iter([*named, *words]), None)


def _one_word(values: pl.Series) -> bool:
    return not values.cast(pl.String).str.contains(r"\s").any() and longest(values) <= 64


def _given_key(table: pl.DataFrame, key: str) -> str:
    values = table[key]
    if len(present(values)) < len(values):
        raise InitError(f"--key {key}: {len(values) - len(present(values))} rows have none; a key is in every row")
    if (distinct := values.n_unique()) < len(values):
        raise InitError(
            f"--key {key}: {len(values) - distinct} rows have the key of another row; a key names one row. Without "
            "--key one is guessed, or made of the row's content"
        )
    return key


def _about_key(values: pl.Series, *, given: bool) -> Guess:
    column = Column(values.name, "string", "key", required=True, unique=True, max_length=2 * longest(values))
    return Guess(column, "As asked for." if given else "Never missing and never the same twice in the sample.")


def _made_key(taken: set[str]) -> Guess:
    name = next(name for name in (KEY, f"_{KEY}", f"penstock_{KEY}", f"_penstock_{KEY}") if name not in taken)
    column = Column(name, "string", "key", required=True, unique=True, derived=True)
    return Guess(
        column,
        "No column names a row, so its key is the hash of its content. A row that is corrected later will be another "
        "row: better is a column of your own.",
    )


def _event_time(fit: Mapping[str, Type], aside: set[str | None]) -> str | None:
    """The first timestamp; where there is none, the first date."""
    times = [(kind, column) for column, kind in fit.items() if kind in {"timestamp", "date"} and column not in aside]
    return next((column for wanted in ("timestamp", "date") for kind, column in times if kind == wanted), None)


def _guess(values: pl.Series, kind: Type, *, event_time: bool) -> Guess:
    """A column that is neither target nor key."""
    kept = present(values)
    gone = len(values) - len(kept)
    column = Column(values.name, kind, "feature", required=not gone)
    missing = f" Missing in {gone} of {len(values)} rows." if gone else ""
    if event_time:
        return Guess(replace(column, role="event_time"), f"When the row happened.{missing}")
    if found := _useless(values, kept, kind):
        ignored = replace(column, role="ignore", required=False)
        return Guess(replace(ignored, personal=PERSONAL.search(snake(values.name)) is not None), found)
    if kind == "string":
        return _text(kept.cast(pl.String), column, missing)
    return Guess(column, f"True or false.{missing}") if kind == "boolean" else _number(kept, column, missing)


def _useless(values: pl.Series, kept: pl.Series, kind: Type) -> str | None:
    """Why nothing can or should be learned from a column; None where something can."""
    name = snake(values.name)
    distinct, rows = kept.n_unique(), len(kept)
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
    return _useless_text(kept.cast(pl.String)) if kind == "string" else None


def _useless_text(kept: pl.Series) -> str | None:
    gone = kept.filter(kept.str.strip_chars().str.to_lowercase().is_in(MISSING))
    if len(gone) and as_numbers(kept).count() == len(kept) - len(gone):
        return f"Numbers, but {gone[0]!r} stands in {len(gone)} rows: leave missing values empty and it is a feature."
    distinct, rows = kept.n_unique(), len(kept)
    if not _listed(distinct, rows) and (distinct > MANY or 2 * distinct > rows):
        return f"{distinct} different texts in {rows} rows: a name or a note, not learned from."
    return None


def _listed(distinct: int, rows: int) -> bool:
    """Whether texts are few enough to be the allowed ones."""
    return distinct <= FEW and EACH * distinct <= rows


def _text(kept: pl.Series, column: Column, missing: str) -> Guess:
    distinct = kept.n_unique()
    if _listed(distinct, len(kept)):
        values = tuple(sorted(kept.unique().to_list()))
        return Guess(replace(column, allowed=values), f"The {distinct} values in the sample.{missing}")
    why = f"{distinct} different texts, too many to list.{missing}"
    return Guess(replace(column, max_length=2 * longest(kept)), why)


def _number(kept: pl.Series, column: Column, missing: str) -> Guess:
    numbers = as_numbers(kept)
    odd = ""
    if strange := kept.filter(numbers.is_null()).unique(maintain_order=True).to_list():
        odd = f" {numbers.null_count()} of no finite number ({strange[0]!r}): such rows will be refused."
    low, high = _bounds(numbers.drop_nulls())
    least, most = _room(low, high) if (low, high) != (0, 1) else (0.0, 1.0)
    if column.type == "integer":
        least, most = math.floor(least), math.ceil(most)
    why = f"From {low:g} to {high:g}; the range has head-room.{missing}{odd}"
    return Guess(replace(column, minimum=_plain(least), maximum=_plain(most)), why)


def _bounds(numbers: pl.Series) -> tuple[float, float]:
    low: Any = numbers.min()
    high: Any = numbers.max()
    return (0.0, 0.0) if low is None or high is None else (float(low), float(high))


def _room(low: float, high: float) -> tuple[float, float]:
    """A range with half of its width more on either side, in round numbers; what has one sign keeps it."""
    width = (high - low) or abs(high) or 1.0
    digits = 1 - math.floor(math.log10(width))
    step = 10.0**-digits
    least, most = math.floor((low - width / 2) / step) * step, math.ceil((high + width / 2) / step) * step
    least = 0.0 if low >= 0 > least else least
    most = 0.0 if high <= 0 < most else most
    return round(least, max(digits, 0)), round(most, max(digits, 0))


def _plain(number: float) -> float:
    """A whole number as an int, for the file's sake, as long as a float holds it exactly."""
    return int(number) if float(number).is_integer() and abs(number) < EXACT else float(number)
