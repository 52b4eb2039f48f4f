"""Joins late ground truth with the captured rows: live quality now, and labelled rows for the next training run."""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from penstock.aws.cloudwatch import Metrics
from penstock.aws.s3_store import NoObjectError, Store, sha256
from penstock.captures import reader as captures
from penstock.captures.pseudonyms import Pseudonyms
from penstock.contract.model import Contract
from penstock.contract.personal import FORGOTTEN, labelled_rows_contract
from penstock.contract.row_check import check
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record, Upload, timestamp
from penstock.monitoring import drift, live_quality, live_slices
from penstock.monitoring.live_quality import Quality
from penstock.monitoring.live_slices import LiveSlice
from penstock.readers.open_table import TableError, read_table
from penstock.spec.model import ModelSpec

ID = "id"
LIVE = {
    "accuracy": "LiveAccuracy",
    "balanced_accuracy": "LiveBalancedAccuracy",
    "f1": "LiveF1",
    "log_loss": "LiveLogLoss",
    "rmse": "LiveRMSE",
}
"""The CloudWatch metric of each live quality."""
ONLY_VERSION = "null"
"""Version id of an object whose key is its content's digest: it has one content."""


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """Uploads of labels for one model."""

    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    metrics: Metrics
    pseudonyms: Pseudonyms | None
    """Set where the contract hashes a column."""

    def join(self, key: str, version_id: str, now: datetime) -> Record:
        """Join an upload of labels with captured rows; the labelled rows wait for the next training run."""
        try:
            if self.store.mark(key, version_id) == FORGOTTEN:
                return _rejection("known", f"{key}: rows were forgotten from it, the others were joined when they came")
            labels = self._read_labels(key, version_id)
        except (TableError, NoObjectError) as error:
            return _rejection("refused", f"{key}: {error}")
        labelled, captured = self._match(labels, now)
        if not labelled:
            return _rejection(
                "no match", f"{key}: none of {len(labels)} labels belongs to a captured row{self._sampling_remark()}"
            )
        good = self._check(labelled)
        if not good.height:
            return _rejection("refused", f"{key}: no label is a value of {self.contract.target.name!r} in the contract")
        truth = list(good.select(self.contract.key.name, self.contract.target.name).iter_rows())
        numbers, slices, remarks = self._measure([(captured[str(row)], label) for row, label in truth])
        self.metrics.put({LIVE[name]: number for name, number in numbers.items()} | {"LabelledRows": good.height})
        stored = self._store_rows(key, good, now)
        sentence = f"{good.height} of {len(labels)} labels joined{remarks}{self._sampling_remark()}; {stored}"
        return {"outcome": "labelled", "sentence": sentence, "rows": good.height, "slices": slices} | numbers

    def _read_labels(self, key: str, version_id: str) -> dict[str, str]:
        """Read an upload: inference id or row key → label."""
        table = read_table(self.store.read(key, version_id), key)
        name, target = self.contract.key.name, self.contract.target.name
        by = ID if ID in table.columns else name
        if missing := [column for column in (by, target) if column not in table.columns]:
            raise TableError(f"labels need the columns {target!r} and {ID!r} or {name!r}; {missing[0]!r} is missing")
        rows = table.select(pl.col(by).cast(pl.String), pl.col(target).cast(pl.String)).drop_nulls()
        return dict(rows.iter_rows())

    def _match(self, labels: dict[str, str], now: datetime) -> tuple[list[Record], dict[str, Record]]:
        """Find the captured rows that have a label; return them labelled, and as captured by their row key."""
        since = captures.hour_prefix(self.lake, now - timedelta(days=self.spec.monitoring.label_days))
        names = self._captured_names(labels)
        labelled: dict[str, Record] = {}
        captured: dict[str, Record] = {}
        for _, rows in captures.read(self.store, self.lake, after=since):
            for row in rows:
                name = names.get(row[ID]) or names.get(str(row["instance"].get(self.contract.key.name)))
                if name is not None:
                    labelled[name] = self._labelled_row(row, name, labels[name])
                    captured[str(labelled[name][self.contract.key.name])] = row
        return list(labelled.values()), captured

    def _captured_names(self, labels: dict[str, str]) -> dict[str, str]:
        """Map what a capture may hold of a label's id or key to it: the same text, or its hash."""
        names = {name: name for name in labels}
        if self.pseudonyms is None or not self.contract.key.hashed:
            return names
        return names | {self.pseudonyms.of(self.contract.key.name, name): name for name in labels}

    def _labelled_row(self, row: Record, name: str, label: str) -> Record:
        """Return a captured row as an upload has it, without personal values: captures drop or hash them.

        Where the label was given by row key, that key replaces its hash: so the row stays on its side of the split.
        """
        open_columns = {column.name for column in self.contract.columns if column.role == "key" or not column.personal}
        captured = row["instance"]
        values: Record = {
            column.name: captured.get(column.name) if column.name in open_columns else None
            for column in self.contract.columns
        }
        values[self.contract.target.name] = label
        row_key = values[self.contract.key.name] or row[ID]
        values[self.contract.key.name] = row_key if name == row[ID] else name
        if (event_time := self.contract.event_time) is not None:
            at = row["at"][:10] if event_time.type == "date" else row["at"]
            values[event_time.name] = values[event_time.name] or at
        return values

    def _check(self, rows: list[Record]) -> pl.DataFrame:
        """Return the rows that the contract accepts, in its types."""
        text = {name: [None if row[name] is None else str(row[name]) for row in rows] for name in rows[0]}
        table = pl.DataFrame(text, schema=dict.fromkeys(text, pl.String))
        return check(labelled_rows_contract(self.contract), table).good

    def _measure(self, pairs: list[tuple[Record, Any]]) -> tuple[Quality, list[LiveSlice], str]:
        """Return the live quality, its slices and the remarks on both; empty for predictions of another task."""
        task = self.spec.task
        comparable = [(row, real) for row, real in pairs if live_quality.prediction(task, row) is not None]
        if not comparable:
            return {}, [], ""
        rows, truth = [row for row, _ in comparable], [real for _, real in comparable]
        numbers, remark = live_quality.measure(task, rows, truth, self._class_names)
        slices = live_slices.measure(self.spec, self.contract, rows, truth)
        remarks = [f", {name} {number:.3f}" for name, number in numbers.items()]
        remarks += [] if self.contract.target.personal else [remark]
        return numbers, slices, "".join([*remarks, live_slices.remark(task, slices)])

    def _class_names(self, version: int) -> list[str]:
        """Return the classes of a version in their order; empty where its files no longer exist."""
        try:
            about = self.ledger.version(version)
            return drift.class_names(self.store.json(self.lake.model_file(about["sha256"], "baseline.json")))
        except (NoRecordError, NoObjectError):
            return []

    def _store_rows(self, source: str, rows: pl.DataFrame, now: datetime) -> str:
        """Write labelled rows to the lake and record them as an upload; return a sentence on it."""
        buffer = io.BytesIO()
        rows.sort(self.contract.key.name).write_parquet(buffer, compression="zstd")
        data = buffer.getvalue()
        digest = sha256(data)
        key = self.lake.labelled(digest)
        # A retry after a crash may write the object again; the upload is recorded once, whatever the version id.
        self.store.write(key, data)
        if not self.ledger.record_upload(Upload(key, ONLY_VERSION, digest, len(data), timestamp(now))):
            return "these rows are known already"
        return f"{rows.height} rows from {source} wait for the next run"

    def _sampling_remark(self) -> str:
        """Return why labels may match no row though it was answered."""
        share = self.spec.capture.sample
        return f" (capture.sample: {share:.4g} of the answers are captured)" if share < 1 else ""


def _rejection(outcome: str, sentence: str) -> Record:
    return {"outcome": outcome, "sentence": sentence, "rows": 0}
