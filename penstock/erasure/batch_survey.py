"""Finds a subject's rows among the batches: inputs and work to remove; output and errors can be rewritten.

An input is removed as a whole, as an upload is: rewritten it would be another batch. So is all work on a file that has
such a row, since its parts belong together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from penstock.aws.s3_store import Store, Version
from penstock.batch.names import KEY, PLAN, RESERVED
from penstock.contract.model import Contract
from penstock.erasure import file_rewrite
from penstock.erasure.subject import Subject
from penstock.lake import BATCH_INPUT, BATCH_WORK, Lake, holds_rows


@dataclass(frozen=True)
class OutputMatcher:
    """Recognises the subject's rows in an output, where the row key may have another name."""

    subject: Subject
    key: str
    """The row key's column."""

    def matches(self, table: pl.DataFrame, /) -> pl.Series:
        """Return which rows are the subject's; shape (rows,), Boolean."""
        if self.key in RESERVED and KEY in table.columns:
            table = table.drop(self.key, strict=False).rename({KEY: self.key})
        return self.subject.matches(table)


@dataclass
class BatchFindings:
    """What to remove of a model's batches."""

    remove: list[tuple[str, str]] = field(default_factory=list)
    """Object versions (key, version id)."""
    rows: int = 0
    """The subject's rows in the inputs."""
    unread: list[str] = field(default_factory=list)
    """Objects that cannot be read."""


def survey_batches(
    store: Store, lake: Lake, contract: Contract, subject: Subject, unreadable: tuple[type[Exception], ...]
) -> BatchFindings:
    """Search inputs and work.

    Args:
        store: the bucket.
        lake: the model's keys.
        contract: of the model.
        subject: whose rows.
        unreadable: what reading an unreadable file may raise.
    """
    findings = BatchFindings()

    def learn_keys(rows: pl.DataFrame) -> None:
        if contract.key.name in rows.columns:
            subject.learn_keys(rows)

    def count_in_input(data: bytes, name: str) -> int:
        return file_rewrite.table(data, name, subject, learn_keys)[1]

    def count_in_work(data: bytes, name: str) -> int:
        return 0 if name.endswith(PLAN) else file_rewrite.captures(data, subject)[1]

    for version, rows in _versions_with_rows(store, lake.prefix(BATCH_INPUT), count_in_input, findings, unreadable):
        findings.remove.append((version.key, version.version_id))
        findings.rows += rows
    folder = lake.prefix(BATCH_WORK)
    works = {
        version.key.removeprefix(folder).partition("/")[0]
        for version, _ in _versions_with_rows(store, folder, count_in_work, findings, unreadable)
    }
    for work in sorted(works):
        versions = store.all_versions(lake.batch_work(work))
        findings.remove += [(version.key, version.version_id) for version, _ in versions]
    return findings


def _versions_with_rows(
    store: Store,
    prefix: str,
    count: Callable[[bytes, str], int],
    findings: BatchFindings,
    unreadable: tuple[type[Exception], ...],
) -> list[tuple[Version, int]]:
    """Return the object versions that have rows of the subject, and how many."""
    versions = []
    for version, _ in store.all_versions(prefix):
        if not version.size or not holds_rows(version.key.removeprefix(prefix)):
            continue
        try:
            rows = count(store.read(version.key, version.version_id), version.key)
        except unreadable:
            findings.unread.append(f"{version.key}?versionId={version.version_id}")
            continue
        if rows:
            versions.append((version, rows))
    return versions
