"""Where a subject's rows lie in the lake, in every version of every object, and what is left without them.

A survey reads and removes nothing. What it finds is complete as long as nothing was removed, so one that was cut off is
made again.
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
from penstock.erasure import batch_survey
from penstock.erasure import file_rewrite as erasing
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
Edit = Callable[[bytes, str], erasing.Cut]


@dataclass
class Found:
    """A subject's rows, and what to do about them."""

    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How many, by folder; of what lies there in several versions, those of the newest that holds them."""
    remove: list[tuple[str, str]] = field(default_factory=list)
    """Object versions (key, version id) that hold them."""
    written: dict[str, bytes] = field(default_factory=dict)
    """What takes the place of an object whose newest version holds them."""
    parts: dict[str, tuple[Part, bytes] | None] = field(default_factory=dict)
    """Digest of a part → the part without them; None where nothing is left of it."""
    datasets: list[tuple[Dataset, Dataset, Record]] = field(default_factory=list)
    """Dataset versions that name such a part, each with what takes its place and its record."""
    online: dict[str, list[str]] = field(default_factory=dict)
    """Feature group → the entities whose records are to go from its online store."""
    emptied: list[str] = field(default_factory=list)
    """Objects of which nothing is left."""
    unread: list[str] = field(default_factory=list)
    """Objects that could not be looked into."""


class Survey:
    """Looks for one subject."""

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

    def find(self) -> Found:
        """Everything that holds rows of the subject."""
        found = Found()
        # Captures give inference ids, parts give row keys: what comes later is looked for by them too.
        self._captures(Found())
        if not self._subject.by_key:
            self._parts(Found())
        self._parts(found)
        self._captures(found)
        self._rewrite(found, SHADOW, SHADOW, lambda data, _: erasing.shadows(data, self._subject))
        for folder in (LABELS, LABELLED, QUARANTINE):
            self._rewrite(found, folder, folder, self._table)
        self._batches(found)
        self._datasets(found)
        self._raw(found)
        if self._features is not None:
            self._kept(found, self._features)
        if self._examples:
            self._rewrite(found, MODELS, "golden", lambda data, _: erasing.golden(data, self._example), erasing.GOLDEN)
            self._rewrite(found, RUNS, "golden", lambda data, _: erasing.artifact(data, self._example), ARTIFACT)
        return found

    def _captures(self, found: Found) -> None:
        for folder in (CAPTURES, CAPTURE_ERRORS):
            self._rewrite(
                found, folder, CAPTURES, lambda data, _: erasing.lines(data, self._subject, self._subject.learn_id)
            )

    def _batches(self, found: Found) -> None:
        whole = batch_survey.look(self._store, self._lake, self._contract, self._subject, UNREADABLE)
        found.remove += whole.remove
        found.unread += whole.unread
        if whole.rows:
            found.rows[BATCHES] += whole.rows
        answered = batch_survey.Answered(self._subject, self._contract.key.name)
        for folder in (BATCH_OUTPUT, BATCH_ERRORS):
            self._rewrite(found, folder, BATCHES, lambda data, name: erasing.table(data, name, answered))

    def _table(self, data: bytes, name: str) -> erasing.Cut:
        if name.endswith(".json"):
            return data, 0  # counts of reasons
        return erasing.table(data, name, self._subject)

    def _rewrite(self, found: Found, folder: str, kind: str, edit: Edit, ending: str = "") -> None:
        """Look at every version under a folder; the newest is to be written anew, all that hold rows are to go."""
        counted: set[str] = set()
        for version, newest in self._store.all_versions(self._lake.prefix(folder)):
            if not version.key.endswith(ending) or not version.size:
                continue
            try:
                left, gone = edit(self._store.read(version.key, version.version_id), version.key)
            except UNREADABLE:
                found.unread.append(f"{version.key}?versionId={version.version_id}")
                continue
            if not gone:
                continue
            found.remove.append((version.key, version.version_id))
            found.rows[kind] += 0 if version.key in counted else gone
            counted.add(version.key)
            if newest and left is not None:
                found.written[version.key] = left
            elif newest:
                found.emptied.append(version.key)

    def _parts(self, found: Found) -> None:
        versions: dict[str, list[Version]] = defaultdict(list)
        for version, _ in self._store.all_versions(self._lake.parts()):
            versions[version.key].append(version)
        for key, held in versions.items():
            left, gone = erasing.table(self._store.read(key, held[0].version_id), key, self._subject, self._theirs)
            if gone:
                digest = key.removeprefix(self._lake.parts()).removesuffix(".parquet")
                found.parts[digest] = None if left is None else (self._part(left), left)
                found.remove += [(key, version.version_id) for version in held]
                found.rows["parts"] += gone

    def _theirs(self, rows: pl.DataFrame) -> None:
        """Know removed rows by their key, and as golden examples have them."""
        self._subject.learn_keys(rows)
        if self._features is not None:
            self._features.learn(rows)
        columns = [column for column in self._contract.features if not column.personal and column.name in rows.columns]
        as_scored = [pl.col(c.name).cast(pl.Float32) if c.numeric else pl.col(c.name) for c in columns]
        shown = rows.select(as_scored).select(pl.col(c.name).cast(TYPES[c.type]) for c in columns)
        self._examples |= {_text(row) for row in shown.to_dicts()}

    def _example(self, instance: Mapping[str, Any]) -> bool:
        personal = {column.name for column in self._contract.columns if column.personal}
        return _text({name: value for name, value in instance.items() if name not in personal}) in self._examples

    def _part(self, data: bytes) -> Part:
        rows = pl.read_parquet(io.BytesIO(data))
        moment, times = self._contract.event_time, tuple[int, ...]()
        if moment is not None and moment.name in rows.columns:
            known = rows[moment.name].cast(pl.Datetime("us")).drop_nulls().dt.epoch("us").sort()
            times = sample_times(known.to_list())
        return Part(sha256(data), rows.height, len(data), (), (), times)

    def _datasets(self, found: Found) -> None:
        for record in self._ledger.datasets():
            if "forgotten" in record:
                continue
            dataset = read_dataset(self._store, self._lake, record)
            if any(part.sha256 in found.parts for part in dataset.parts):
                found.datasets.append((dataset, _without(dataset, found.parts), record))

    def _raw(self, found: Found) -> None:
        """Uploads are not written anew, which would be another upload: their other rows are in the parts."""
        sources = self._sources(found)
        for version, _ in self._store.all_versions(self._lake.prefix(RAW)):
            name = f"{version.key}?versionId={version.version_id}"
            if not version.size or not holds_rows(version.key.removeprefix(self._lake.prefix(RAW))):
                continue
            gone = 0
            try:
                data = self._store.read(version.key, version.version_id)
                gone = erasing.table(data, version.key, self._subject)[1]
            except UNREADABLE:
                if name not in sources:
                    found.unread.append(name)
            if gone or name in sources:
                found.remove.append((version.key, version.version_id))
                found.rows[RAW] += max(gone, 1)

    def _kept(self, found: Found, features: FeatureSurvey) -> None:
        """The feature store: records, offline files, and the notes of what was put."""
        found.online = features.online()
        found.unread += features.strange()
        self._rewrite(found, FEATURES, FEATURES, features.file, PARQUET)
        if not found.parts:
            return
        for key, data in features.notes(found.parts, self._next(found)).items():
            found.written[key] = data
        for version, _ in self._store.all_versions(self._lake.notes()):
            if found.parts.keys() & json.loads(self._store.read(version.key, version.version_id))["parts"].keys():
                found.remove.append((version.key, version.version_id))

    def _next(self, found: Found) -> Dataset | None:
        """The dataset version that will be the current one."""
        version = self._ledger.current_dataset()
        replaced = {old.version: new for old, new, _ in found.datasets}
        if version is None or version in replaced:
            return replaced.get(version or "")
        return Dataset.read(
            self._store.read(self._lake.version(version), self._ledger.dataset(version).get("document"))
        )

    def _sources(self, found: Found) -> set[str]:
        """The uploads that such parts were made from: a key that was made of a row is in none of them."""
        parts = [part for dataset, _, _ in found.datasets for part in dataset.parts if part.sha256 in found.parts]
        return {uri.removeprefix(self._lake.uri("")) for part in parts for uri in part.uploads}


def _without(dataset: Dataset, parts: Mapping[str, tuple[Part, bytes] | None]) -> Dataset:
    """The version with the new parts in the old ones' places; what is left of two may be one."""
    kept: dict[str, Part] = {}
    for part in dataset.parts:
        if part.sha256 not in parts:
            made: Part | None = part
        elif (new := parts[part.sha256]) is not None:
            times = new[0].times if part.times else ()
            made = replace(part, sha256=new[0].sha256, rows=new[0].rows, size=new[0].size, times=times)
        else:
            made = None
        if made is not None:
            known = kept.get(made.sha256)
            kept[made.sha256] = made if known is None else known.with_sources((*known.sources, *made.sources))
    return replace(dataset, parts=tuple(kept.values()))


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in row.items() if value not in (None, "")}, sort_keys=True)
