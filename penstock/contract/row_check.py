"""Applies the contract to rows: which are good, and every reason why the others are bad.

A file is checked batch after batch, so that its size does not matter. First it is determined which rules are broken at
all; reasons are assembled only for those. `penstock.contract.file_check` checks the file as a whole.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Protocol

import polars as pl

from penstock.contract.casting import blank_is_null, cast_column
from penstock.contract.model import Contract
from penstock.contract.row_identity import Repeated, RowKeys, Uniqueness
from penstock.contract.row_rules import Rule, Suspects, broken_rules, column_rules, conditions, suspects
from penstock.readers.open_table import Table, TableError

ROW, REASONS = "_row", "_reasons"


@dataclass(frozen=True)
class Checked:
    """Checked rows; `good` and `bad` together are all of them."""

    good: pl.DataFrame
    """Accepted rows, in order, with the contract's columns and types (those with the role `ignore` left out)."""
    bad: pl.DataFrame
    """Refused rows, not cast, with `_row` (1-based, without the header) and `_reasons` (list of sentences)."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many rows broke each rule; a row may break several."""
    unknown: tuple[str, ...] = ()
    """Columns that are not in the contract; left out."""

    @property
    def rows(self) -> int:
        return self.good.height + self.bad.height

    @property
    def share(self) -> float:
        """Share of bad rows, 0–1."""
        return self.bad.height / self.rows if self.rows else 0.0


@dataclass
class Tally:
    """Counts over a file so far; all that its refusal depends on."""

    rows: int = 0
    bad: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """How many rows broke each rule; a row may break several."""
    wrong: Counter[str] = field(default_factory=Counter)
    """Rows in which a column is wrong, for columns with a tolerance of their own."""
    nulls: Counter[str] = field(default_factory=Counter)
    """Missing values of a column, where the contract bounds them."""
    newest: datetime | None = None
    """The newest event time of a good row."""
    unknown: tuple[str, ...] = ()
    """Columns that are not in the contract; left out."""


class RowCheck:
    """The check of one file: `check` its batches in order; then `repeated` says whether to read the file again."""

    def __init__(self, contract: Contract, names: Sequence[str], repeated: Repeated | None = None) -> None:
        """Begin without rows.

        Args:
            contract: the rules.
            names: the file's columns, in any order; extra ones are left out.
            repeated: what `repeated` returned after an earlier reading of the same file.

        Raises:
            TableError: a required column is missing.
        """
        self._contract = contract
        self._keys = RowKeys() if contract.key.derived and contract.key.name not in names else None
        all_names = [*names, contract.key.name] if self._keys else list(names)
        _check_columns(contract, all_names)
        self._names = [column.name for column in contract.columns]
        self._output = [column.name for column in contract.columns if column.role != "ignore"]
        self._output_to_count = [(contract.event_time or contract.key).name]
        self._uniqueness = Uniqueness(contract.unique, repeated)
        self._conditions = conditions(contract)
        self.tally = Tally(unknown=tuple(name for name in all_names if name not in self._names))

    def check(self, rows: pl.DataFrame, *, count: bool = False) -> Checked:
        """Check the next rows, any number of them.

        Args:
            rows: with the columns that `names` lists.
            count: return only one column of the good rows, enough to count them.
        """
        raw = rows.select(name for name in rows.columns if name in self._names)
        look = suspects(raw, self._contract.columns)
        raw = self._complete(raw, look)
        typed = self._cast(raw, look)
        rules = [rule for column in self._contract.columns for rule in column_rules(raw, column, look)]
        broken = broken_rules(typed, [*rules, *self._conditions])
        good = ~_any([bad for _, bad in broken]) if broken else pl.repeat(value=True, n=raw.height, eager=True)
        broken += [(_repeats(names), bad) for names, bad in self._uniqueness.repeats(typed, good)]
        checked = self._separate(raw, typed.select(self._output_to_count if count else self._output), broken)
        self._count(raw, checked, broken)
        return checked

    def repeated(self) -> Repeated | None:
        """Return the repeated values, with which the file must be read again; None where once is enough."""
        return self._uniqueness.repeated()

    def _complete(self, raw: pl.DataFrame, look: Suspects) -> pl.DataFrame:
        """Return all of the contract's columns, not cast; absent ones and blank cells are null."""
        raw = raw.with_columns(blank_is_null(name) for name in sorted(look.text))
        if self._keys:
            raw = raw.with_columns(self._keys.derive(self._cast(raw, look)).alias(self._contract.key.name))
        return raw.with_columns(pl.lit(None, pl.String).alias(n) for n in self._names if n not in raw.columns)

    def _cast(self, raw: pl.DataFrame, look: Suspects) -> pl.DataFrame:
        columns = [column for column in self._contract.columns if column.name in raw.columns]
        return raw.select(cast_column(raw.schema, column, nested=column.name in look.text) for column in columns)

    def _separate(self, raw: pl.DataFrame, output: pl.DataFrame, broken: list[tuple[Rule, pl.Series]]) -> Checked:
        """Separate good rows from bad ones."""
        if not broken:
            none = raw.clear().with_row_index(ROW).with_columns(pl.lit(None, pl.List(pl.String)).alias(REASONS))
            return Checked(output, none, {}, self.tally.unknown)
        is_bad = _any([bad for _, bad in broken])
        flags = pl.DataFrame({str(i): bad.filter(is_bad) for i, (_, bad) in enumerate(broken)})
        sentences = [pl.when(pl.col(str(i))).then(pl.lit(rule.sentence)) for i, (rule, _) in enumerate(broken)]
        reasons = flags.select(pl.concat_list(sentences).list.drop_nulls().alias(REASONS))
        numbers = pl.select(pl.int_range(1, raw.height + 1, dtype=pl.UInt32).alias(ROW) + self.tally.rows)
        counts: Counter[str] = Counter()
        for rule, bad in broken:
            counts[rule.sentence] += int(bad.sum())
        return Checked(
            good=output.filter(~is_bad),
            bad=pl.concat([numbers.filter(is_bad), raw.filter(is_bad), reasons], how="horizontal"),
            reasons=dict(counts),
            unknown=self.tally.unknown,
        )

    def _count(self, raw: pl.DataFrame, checked: Checked, broken: list[tuple[Rule, pl.Series]]) -> None:
        tally = self.tally
        tally.rows += checked.rows
        tally.bad += checked.bad.height
        tally.reasons.update(checked.reasons)
        for column in self._contract.columns:
            if column.nulls is not None:
                tally.nulls[column.name] += raw[column.name].null_count()
            flags = [bad for rule, bad in broken if rule.column == column.name]
            if column.tolerance is not None and flags:
                tally.wrong[column.name] += int(_any(flags).sum())
        if self._contract.event_time and checked.good.height:
            newest = checked.good.select(pl.col(self._contract.event_time.name).cast(pl.Datetime("us", "UTC"))).max()
            tally.newest = max((at for at in (tally.newest, newest.item()) if at is not None), default=None)


class Sink(Protocol):
    """Receives checked rows."""

    def add(self, rows: pl.DataFrame) -> None:
        """Receive the next rows."""

    def clear(self) -> None:
        """Discard all rows; they are sent again."""


def examine(
    contract: Contract,
    table: Table,
    good: Sink | None = None,
    bad: Sink | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Check a file's rows.

    Args:
        contract: the rules.
        table: the file.
        good: receives the accepted rows, in the contract's types.
        bad: receives the refused rows, not cast, with row number and reasons.
        progress: called with the number of rows checked so far.

    Raises:
        TableError: the file cannot be read to its end, or lacks a column.
    """
    in_contract = {column.name for column in contract.columns}
    columns = [name for name in table.names if name in in_contract]
    repeated: Repeated | None = None
    while True:
        try:
            row_check = RowCheck(contract, table.names, repeated)
        except TableError:
            # In a damaged file the column may be missing for that reason: raise the damage instead.
            next(table.batches(), None)
            raise
        for rows in table.batches(columns):
            checked = row_check.check(rows, count=good is None)
            progress(row_check.tally.rows)
            if good:
                good.add(checked.good)
            if bad:
                bad.add(checked.bad.with_columns(pl.col(REASONS).list.join("; ")))
        if repeated is not None or (repeated := row_check.repeated()) is None:
            return row_check.tally
        for sink in (good, bad):
            if sink:
                sink.clear()


def check(contract: Contract, table: pl.DataFrame) -> Checked:
    """Check a table in memory.

    Raises:
        TableError: a required column is missing, or there are no rows.
    """
    first = RowCheck(contract, table.columns)
    if not table.height:
        raise TableError("there are no rows")
    checked = first.check(table)
    if repeated := first.repeated():
        checked = RowCheck(contract, table.columns, repeated).check(table)
    return checked


def _check_columns(contract: Contract, names: Sequence[str]) -> None:
    missing = [column.name for column in contract.columns if column.required and column.name not in names]
    if not missing:
        return
    close = get_close_matches(missing[0].lower(), [name.strip().lower() for name in names], 1, 0.8)
    alike = next((name for name in names if close and name.strip().lower() == close[0]), None)
    hint = f" (there is {alike!r})" if alike and alike not in {c.name for c in contract.columns} else ""
    more = f", and {', '.join(missing[1:])}" if missing[1:] else ""
    raise TableError(f"the column {missing[0]!r} is missing{hint}{more}")


def _any(flags: Sequence[pl.Series]) -> pl.Series:
    return pl.select(pl.any_horizontal(flag.alias(str(i)) for i, flag in enumerate(flags))).to_series()


def _repeats(names: tuple[str, ...]) -> Rule:
    fault = "appears more than once" if len(names) == 1 else "appear together more than once"
    return Rule(pl.lit(value=False), f"{' and '.join(names)}: {fault}", names[0] if len(names) == 1 else "")
