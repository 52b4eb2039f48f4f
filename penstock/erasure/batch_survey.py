"""A subject's rows among the batches: what came, what was dealt of it, and what was answered.

An input is removed whole, as an upload is: written anew it would be another batch. So is all work on a file that holds
such a row, for its parts belong together. Output and errors are written anew, without the row.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from penstock.aws.s3_store import Store, Version
from penstock.batch.names import KEY, PLAN, RESERVED
from penstock.contract.model import Contract
from penstock.erasure import file_rewrite as erasing
from penstock.erasure.subject import Subject
from penstock.lake import BATCH_INPUT, BATCH_WORK, Lake, holds_rows


@dataclass(frozen=True)
class Answered:
    """The subject as an output has them: there the key may have another name."""

    subject: Subject
    key: str
    """The row key's column."""

    def among(self, table: pl.DataFrame, /) -> pl.Series:
        """Which rows are theirs; shape (rows,), Boolean."""
        if self.key in RESERVED and KEY in table.columns:
            table = table.drop(self.key, strict=False).rename({KEY: self.key})
        return self.subject.among(table)


@dataclass
class Batches:
    """What of a model's batches holds rows of a subject and goes as a whole."""

    remove: list[tuple[str, str]] = field(default_factory=list)
    """Object versions (key, version id)."""
    rows: int = 0
    """How many, of the inputs."""
    unread: list[str] = field(default_factory=list)


def look(
    store: Store, lake: Lake, contract: Contract, subject: Subject, unreadable: tuple[type[Exception], ...]
) -> Batches:
    """Look through inputs and work.

    Args:
        store: the bucket.
        lake: the model's keys.
        contract: of the model.
        subject: whose rows.
        unreadable: what reading a file may raise that cannot be looked into.
    """
    found = Batches()

    def learn(rows: pl.DataFrame) -> None:
        if contract.key.name in rows.columns:
            subject.learn_keys(rows)

    def came(data: bytes, name: str) -> int:
        return erasing.table(data, name, subject, learn)[1]

    def dealt(data: bytes, name: str) -> int:
        return 0 if name.endswith(PLAN) else erasing.lines(data, subject)[1]

    for version, rows in _holding(store, lake.prefix(BATCH_INPUT), came, found, unreadable):
        found.remove.append((version.key, version.version_id))
        found.rows += rows
    folder = lake.prefix(BATCH_WORK)
    works = {
        version.key.removeprefix(folder).partition("/")[0]
        for version, _ in _holding(store, folder, dealt, found, unreadable)
    }
    for work in sorted(works):
        whole = store.all_versions(lake.batch_work(work))
        found.remove += [(version.key, version.version_id) for version, _ in whole]
    return found


def _holding(
    store: Store,
    prefix: str,
    count: Callable[[bytes, str], int],
    found: Batches,
    unreadable: tuple[type[Exception], ...],
) -> list[tuple[Version, int]]:
    """The object versions with rows of the subject, and how many."""
    held = []
    for version, _ in store.all_versions(prefix):
        if not version.size or not holds_rows(version.key.removeprefix(prefix)):
            continue
        try:
            rows = count(store.read(version.key, version.version_id), version.key)
        except unreadable:
            found.unread.append(f"{version.key}?versionId={version.version_id}")
            continue
        if rows:
            held.append((version, rows))
    return held
