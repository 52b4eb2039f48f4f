"""The contract applied to rows: which are good, and every reason why the others are not.

A file is checked batch after batch, so that its size does not matter. Which rules were broken is asked first, and rows
and sentences are only put together where one was. `penstock.contract.file_check` checks the file as a whole.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Protocol

import polars as pl

from penstock.contract.casting import blank_is_null, typed_cell
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
    """Refused rows as they came, with `_row` (1-based, without the header) and `_reasons` (list of sentences)."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many rows broke each rule; a row may break several."""
    unknown: tuple[str, ...] = ()
    """Columns that the contract does not know; left out."""

    @property
    def rows(self) -> int:
        return self.good.height + self.bad.height

    @property
    def share(self) -> float:
        """Share of bad rows, 0–1."""
        return self.bad.height / self.rows if self.rows else 0.0


@dataclass
class Tally:
    """What was found in a file so far; all that its refusal depends on."""

    rows: int = 0
    bad: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """How many rows broke each rule; a row may break several."""
    wrong: Counter[str] = field(default_factory=Counter)
    """In how many rows a column that has a tolerance of its own is wrong."""
    nulls: Counter[str] = field(default_factory=Counter)
    """How many values of a column are missing, where the contract bounds that."""
    newest: datetime | None = None
    """The newest event time of a good row."""
    unknown: tuple[str, ...] = ()
    """Columns that the contract does not know; left out."""


class Check:
    """One file's check. Give it the file's batches in order; then ask `repeated` whether to go through it again."""

    def __init__(self, contract: Contract, names: Sequence[str], repeated: Repeated | None = None) -> None:
        """Begin.

        Args:
            contract: what each row must be.
            names: the file's columns, in any order; extra ones are left out.
            repeated: what an earlier reading of the same file found to come more than once.

        Raises:
            TableError: a required column is not there.
        """
        self._contract = contract
        self._keys = RowKeys() if contract.key.derived and contract.key.name not in names else None
        given = [*names, contract.key.name] if self._keys else list(names)
        _be_complete(contract, given)
        self._names = [column.name for column in contract.columns]
        self._kept = [column.name for column in contract.columns if column.role != "ignore"]
        self._counted = [(contract.event_time or contract.key).name]
        self._uniqueness = Uniqueness(contract.unique, repeated)
        self._conditions = conditions(contract)
        self.tally = Tally(unknown=tuple(name for name in given if name not in self._names))

    def batch(self, rows: pl.DataFrame, *, count: bool = False) -> Checked:
        """Check the next rows, any number of them.

        Args:
            rows: with the columns that were given.
            count: the good rows are only counted: of their columns there is one.
        """
        known = rows.select(name for name in rows.columns if name in self._names)
        look = suspects(known, self._contract.columns)
        raw = self._raw(known, look)
        typed = self._typed(raw, look)
        rules = [rule for column in self._contract.columns for rule in column_rules(raw, column, look)]
        broken = broken_rules(typed, [*rules, *self._conditions])
        good = ~_any([bad for _, bad in broken]) if broken else pl.repeat(value=True, n=raw.height, eager=True)
        broken += [(_repeats(names), bad) for names, bad in self._uniqueness.repeats(typed, good)]
        checked = self._sorted(raw, typed.select(self._counted if count else self._kept), broken)
        self._count(raw, checked, broken)
        return checked

    def repeated(self) -> Repeated | None:
        """What must be unique and is not: the file has to be read again with it; None where all is said."""
        return self._uniqueness.repeated()

    def _raw(self, known: pl.DataFrame, look: Suspects) -> pl.DataFrame:
        """The contract's columns as they came; absent ones and blank cells are null."""
        known = known.with_columns(blank_is_null(name) for name in sorted(look.text))
        if self._keys:
            known = known.with_columns(self._keys.derive(self._typed(known, look)).alias(self._contract.key.name))
        return known.with_columns(pl.lit(None, pl.String).alias(n) for n in self._names if n not in known.columns)

    def _typed(self, raw: pl.DataFrame, look: Suspects) -> pl.DataFrame:
        columns = [column for column in self._contract.columns if column.name in raw.columns]
        return raw.select(typed_cell(raw.schema, column, nested=column.name in look.text) for column in columns)

    def _sorted(self, raw: pl.DataFrame, kept: pl.DataFrame, broken: list[tuple[Rule, pl.Series]]) -> Checked:
        if not broken:
            none = raw.clear().with_row_index(ROW).with_columns(pl.lit(None, pl.List(pl.String)).alias(REASONS))
            return Checked(kept, none, {}, self.tally.unknown)
        is_bad = _any([bad for _, bad in broken])
        flags = pl.DataFrame({str(i): bad.filter(is_bad) for i, (_, bad) in enumerate(broken)})
        said = [pl.when(pl.col(str(i))).then(pl.lit(rule.sentence)) for i, (rule, _) in enumerate(broken)]
        reasons = flags.select(pl.concat_list(said).list.drop_nulls().alias(REASONS))
        numbers = pl.select(pl.int_range(1, raw.height + 1, dtype=pl.UInt32).alias(ROW) + self.tally.rows)
        counts: Counter[str] = Counter()
        for rule, bad in broken:
            counts[rule.sentence] += int(bad.sum())
        return Checked(
            good=kept.filter(~is_bad),
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
            own = [bad for rule, bad in broken if rule.column == column.name]
            if column.tolerance is not None and own:
                tally.wrong[column.name] += int(_any(own).sum())
        if self._contract.event_time and checked.good.height:
            newest = checked.good.select(pl.col(self._contract.event_time.name).cast(pl.Datetime("us", "UTC"))).max()
            tally.newest = max((at for at in (tally.newest, newest.item()) if at is not None), default=None)


class Sink(Protocol):
    """Takes rows as they come."""

    def add(self, rows: pl.DataFrame) -> None:
        """Take the next rows."""

    def clear(self) -> None:
        """Forget all rows; they come again."""


def examine(
    contract: Contract,
    table: Table,
    good: Sink | None = None,
    bad: Sink | None = None,
    seen: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Check a file's rows.

    Args:
        contract: what each row must be.
        table: the file.
        good: takes the accepted rows, in the contract's types.
        bad: takes the refused ones as they came, with row number and reasons.
        seen: told how many rows have been looked at.

    Raises:
        TableError: the file cannot be read to its end, or lacks a column.
    """
    known = {column.name for column in contract.columns}
    columns = [name for name in table.names if name in known]
    repeated: Repeated | None = None
    while True:
        try:
            one = Check(contract, table.names, repeated)
        except TableError:
            next(
                table.batches(), None
            )  # a file that is damaged as well hears that: it may be why the column is missing
            raise
        for rows in table.batches(columns):
            checked = one.batch(rows, count=good is None)
            seen(one.tally.rows)
            if good:
                good.add(checked.good)
            if bad:
                bad.add(checked.bad.with_columns(pl.col(REASONS).list.join("; ")))
        if repeated is not None or (repeated := one.repeated()) is None:
            return one.tally
        for writer in (good, bad):
            if writer:
                writer.clear()


def check(contract: Contract, table: pl.DataFrame) -> Checked:
    """A table in memory against the contract, as `Check` does it.

    Raises:
        TableError: a required column is not there, or there are no rows.
    """
    first = Check(contract, table.columns)
    if not table.height:
        raise TableError("there are no rows")
    checked = first.batch(table)
    if repeated := first.repeated():
        checked = Check(contract, table.columns, repeated).batch(table)
    return checked


def _be_complete(contract: Contract, names: Sequence[str]) -> None:
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
    said = "appears more than once" if len(names) == 1 else "appear together more than once"
    return Rule(pl.lit(value=False), f"{' and '.join(names)}: {said}", names[0] if len(names) == 1 else "")
