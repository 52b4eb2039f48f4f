"""Finds a subject's rows in every version of every object of the lake, and prepares the objects without them.

A survey reads and removes nothing. It is complete as long as nothing was removed, so one that was cut off is repeated.
"""

import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from penstock.aws.s3_store import Store, Version, sha256
from penstock.contract.casting import TYPES
from penstock.contract.model import Contract
from penstock.datasets.store import read_dataset
from penstock.datasets.version import Dataset, Part, sample_times
from penstock.erasure import file_rewrite
from penstock.erasure.batch_survey import OutputMatcher, survey_batches
from penstock.erasure.feature_survey import PARQUET, FeatureSurvey
from penstock.erasure.subject import Subject
from penstock.features.inventory import StoredFeatures
from penstock.lake import (
    BATCH_ERRORS,
    BATCH_OUTPUT,
    CAPTURE_ERRORS,
    CAPTURES,
    FEATURES,
    LABELLED,
    LABELS,
    MODELS,
    QUARANTINE,
    RAW,
    RUNS,
    SHADOW,
    Lake,
    holds_rows,
)
from penstock.ledger.ledger import Ledger, Record
from penstock.readers.open_table import TableError

BATCHES = "batches"
ARTIFACT = "/model.tar.gz"
UNREADABLE = (TableError, ValueError, KeyError, TypeError, OSError, EOFError, tarfile.TarError)
RewriteFile = Callable[[bytes, str], file_rewrite.Rewrite]


@dataclass
class Findings:
    """A subject's rows, and what to do about them."""

    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Number of rows by folder; where several versions of an object have rows, those of the newest of them."""
    remove: list[tuple[str, str]] = field(default_factory=list)
    """Object versions (key, version id) that have such rows."""
    rewrites: dict[str, bytes] = field(default_factory=dict)
    """New content of each object whose newest version has such rows."""
    parts: dict[str, tuple[Part, bytes] | None] = field(default_factory=dict)
    """Digest of a part → the part without the rows; None where no row is left."""
    datasets: list[tuple[Dataset, Dataset, Record]] = field(default_factory=list)
    """Dataset versions that have such a part, each with its replacement and its record."""
    online: dict[str, list[str]] = field(default_factory=dict)
    """Feature group → the entities whose records to remove from its online store."""
    emptied: list[str] = field(default_factory=list)
    """Objects of which no row is left."""
    unread: list[str] = field(default_factory=list)
    """Objects that cannot be read."""


class LakeSurvey:
    """The search for one subject."""

    def __init__(
        self,
        contract: Contract,
        lake: Lake,
        store: Store,
        ledger: Ledger,
        subject: Subject,
        features: StoredFeatures | None = None,
    ) -> None:
        self._contract, self._lake, self._store = contract, lake, store
        self._ledger, self._subject = ledger, subject
        self._examples: set[str] = set()
        self._features = FeatureSurvey(contract, features, subject) if features else None

    def find(self) -> Findings:
        """Search everything that has rows."""
        findings = Findings()
        # Captures give inference ids and parts give row keys, by which later objects are searched too.
        self._search_captures(Findings())
        if not self._subject.is_given_by_key:
            self._search_parts(Findings())
        self._search_parts(findings)
        self._search_captures(findings)
        self._search(findings, SHADOW, SHADOW, lambda data, _: file_rewrite.shadow_predictions(data, self._subject))
        for folder in (LABELS, LABELLED, QUARANTINE):
            self._search(findings, folder, folder, self._rewrite_table)
        self._search_batches(findings)
        self._search_datasets(findings)
        self._search_uploads(findings)
        if self._features is not None:
            self._search_features(findings, self._features)
        if self._examples:
            self._search_examples(findings)
        return findings

    def _search_captures(self, findings: Findings) -> None:
        for folder in (CAPTURES, CAPTURE_ERRORS):
            self._search(
                findings,
                folder,
                CAPTURES,
                lambda data, _: file_rewrite.captures(data, self._subject, self._subject.learn_id),
            )

    def _search_batches(self, findings: Findings) -> None:
        batches = survey_batches(self._store, self._lake, self._contract, self._subject, UNREADABLE)
        findings.remove += batches.remove
        findings.unread += batches.unread
        if batches.rows:
            findings.rows[BATCHES] += batches.rows
        matcher = OutputMatcher(self._subject, self._contract.key.name)
        for folder in (BATCH_OUTPUT, BATCH_ERRORS):
            self._search(findings, folder, BATCHES, lambda data, name: file_rewrite.table(data, name, matcher))

    def _search_examples(self, findings: Findings) -> None:
        self._search(
            findings,
            MODELS,
            "golden",
            lambda data, _: file_rewrite.golden_examples(data, self._is_example),
            file_rewrite.GOLDEN,
        )
        self._search(findings, RUNS, "golden", lambda data, _: file_rewrite.artifact(data, self._is_example), ARTIFACT)

    def _rewrite_table(self, data: bytes, name: str) -> file_rewrite.Rewrite:
        if name.endswith(".json"):
            return data, 0  # counts of reasons
        return file_rewrite.table(data, name, self._subject)

    def _search(self, findings: Findings, folder: str, kind: str, rewrite: RewriteFile, ending: str = "") -> None:
        """Search every version under a folder: remove all that have rows, and replace the newest."""
        counted: set[str] = set()
        for version, is_newest in self._store.all_versions(self._lake.prefix(folder)):
            if not version.key.endswith(ending) or not version.size:
                continue
            try:
                rest, removed = rewrite(self._store.read(version.key, version.version_id), version.key)
            except UNREADABLE:
                findings.unread.append(f"{version.key}?versionId={version.version_id}")
                continue
            if not removed:
                continue
            findings.remove.append((version.key, version.version_id))
            findings.rows[kind] += 0 if version.key in counted else removed
            counted.add(version.key)
            if is_newest and rest is not None:
                findings.rewrites[version.key] = rest
            elif is_newest:
                findings.emptied.append(version.key)

    def _search_parts(self, findings: Findings) -> None:
        by_key: dict[str, list[Version]] = defaultdict(list)
        for version, _ in self._store.all_versions(self._lake.parts()):
            by_key[version.key].append(version)
        for key, versions in by_key.items():
            data = self._store.read(key, versions[0].version_id)
            rest, removed = file_rewrite.table(data, key, self._subject, self._learn)
            if removed:
                digest = key.removeprefix(self._lake.parts()).removesuffix(".parquet")
                findings.parts[digest] = None if rest is None else (self._part(rest), rest)
                findings.remove += [(key, version.version_id) for version in versions]
                findings.rows["parts"] += removed

    def _learn(self, rows: pl.DataFrame) -> None:
        """Learn the keys of removed rows, their entities, and their form as golden examples."""
        self._subject.learn_keys(rows)
        if self._features is not None:
            self._features.learn(rows)
        columns = [column for column in self._contract.features if not column.personal and column.name in rows.columns]
        as_scored = [pl.col(c.name).cast(pl.Float32) if c.numeric else pl.col(c.name) for c in columns]
        instances = rows.select(as_scored).select(pl.col(c.name).cast(TYPES[c.type]) for c in columns)
        self._examples |= {_as_text(row) for row in instances.to_dicts()}

    def _is_example(self, instance: Mapping[str, Any]) -> bool:
        personal = {column.name for column in self._contract.columns if column.personal}
        return _as_text({name: value for name, value in instance.items() if name not in personal}) in self._examples

    def _part(self, data: bytes) -> Part:
        rows = pl.read_parquet(io.BytesIO(data))
        column, times = self._contract.event_time, tuple[int, ...]()
        if column is not None and column.name in rows.columns:
            times = sample_times(rows[column.name].cast(pl.Datetime("us")).drop_nulls().dt.epoch("us").sort().to_list())
        return Part(sha256(data), rows.height, len(data), (), (), times)

    def _search_datasets(self, findings: Findings) -> None:
        for record in self._ledger.datasets():
            if "forgotten" in record:
                continue
            dataset = read_dataset(self._store, self._lake, record)
            if any(part.sha256 in findings.parts for part in dataset.parts):
                findings.datasets.append((dataset, _with_parts_replaced(dataset, findings.parts), record))

    def _search_uploads(self, findings: Findings) -> None:
        """Find uploads to remove; they are not rewritten, since that would be a new upload: the parts have the rest."""
        sources = self._sources(findings)
        for version, _ in self._store.all_versions(self._lake.prefix(RAW)):
            name = f"{version.key}?versionId={version.version_id}"
            if not version.size or not holds_rows(version.key.removeprefix(self._lake.prefix(RAW))):
                continue
            removed = 0
            try:
                data = self._store.read(version.key, version.version_id)
                removed = file_rewrite.table(data, version.key, self._subject)[1]
            except UNREADABLE:
                if name not in sources:
                    findings.unread.append(name)
            if removed or name in sources:
                findings.remove.append((version.key, version.version_id))
                findings.rows[RAW] += max(removed, 1)

    def _search_features(self, findings: Findings, features: FeatureSurvey) -> None:
        """Search the feature store: records, offline files, and the lists of ingested parts."""
        findings.online = features.online()
        findings.unread += features.unsearchable()
        self._search(findings, FEATURES, FEATURES, features.rewrite_file, PARQUET)
        if not findings.parts:
            return
        for key, data in features.notes(findings.parts, self._next_dataset(findings)).items():
            findings.rewrites[key] = data
        for version, _ in self._store.all_versions(self._lake.notes()):
            if findings.parts.keys() & json.loads(self._store.read(version.key, version.version_id))["parts"].keys():
                findings.remove.append((version.key, version.version_id))

    def _next_dataset(self, findings: Findings) -> Dataset | None:
        """Return the dataset version that will be the current one."""
        version = self._ledger.current_dataset()
        replacements = {old.version: new for old, new, _ in findings.datasets}
        if version is None or version in replacements:
            return replacements.get(version or "")
        return Dataset.read(
            self._store.read(self._lake.version(version), self._ledger.dataset(version).get("document"))
        )

    def _sources(self, findings: Findings) -> set[str]:
        """Return the uploads of the parts with such rows: an upload does not have a key that was derived from a row."""
        parts = [part for dataset, _, _ in findings.datasets for part in dataset.parts if part.sha256 in findings.parts]
        return {uri.removeprefix(self._lake.uri("")) for part in parts for uri in part.uploads}


def _with_parts_replaced(dataset: Dataset, replacements: Mapping[str, tuple[Part, bytes] | None]) -> Dataset:
    """Return the version with replaced parts; two parts may become the same one."""
    parts: dict[str, Part] = {}
    for part in dataset.parts:
        if part.sha256 not in replacements:
            new: Part | None = part
        elif (replacement := replacements[part.sha256]) is not None:
            rest = replacement[0]
            times = rest.times if part.times else ()
            new = replace(part, sha256=rest.sha256, rows=rest.rows, size=rest.size, times=times)
        else:
            new = None
        if new is not None:
            same = parts.get(new.sha256)
            parts[new.sha256] = new if same is None else same.with_sources((*same.sources, *new.sources))
    return replace(dataset, parts=tuple(parts.values()))


def _as_text(row: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in row.items() if value not in (None, "")}, sort_keys=True)
