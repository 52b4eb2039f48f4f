"""Drift of what was answered since the last verdict, and captured rows that get their ground truth.

The window is what is new: each captured row is read for a verdict once. A window that is too small is left to grow.
"""

import io
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from functions.monitor import quality, slicing
from functions.monitor.quality import Quality
from functions.monitor.slicing import LiveSlice
from penstock.aws.cloudwatch import Metrics
from penstock.aws.s3_store import NoObjectError, Store, sha256
from penstock.captures import reader as captures
from penstock.captures.pseudonyms import Pseudonyms
from penstock.contract.model import Contract
from penstock.contract.personal import FORGOTTEN, of_labelled
from penstock.contract.row_check import check
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record, Upload, timestamp
from penstock.monitoring import drift
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
LATE = timedelta(hours=6)
"""How much later than its neighbours a capture file may appear."""
NEWEST = "null"
"""As a version id: an object whose key is its content's digest has one content."""


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """The monitor, with everything it works on."""

    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    metrics: Metrics
    pseudonyms: Pseudonyms | None
    """Where the contract hashes a column."""

    def look(self, now: datetime) -> Record:
        """Compare what the live version answered since the last verdict with its baseline."""
        live = self.ledger.live()
        if live is None:
            return {"outcome": "no data", "sentence": "no version is live yet", "rows": 0, "psi": 0.0, "columns": []}
        version = str(live["version"])
        read, rows = self._new_rows(version, live)
        baseline = self.store.json(self.lake.model_file(live["sha256"], "baseline.json"))
        found = drift.compare(
            baseline,
            _columns(rows, list(baseline)),
            rows=len(rows),
            min_rows=self.spec.monitoring.min_rows,
            threshold=self.spec.monitoring.psi_threshold,
        )
        at = timestamp(now)
        report = asdict(found) | {
            "columns": [asdict(column) for column in found.columns],
            "version": int(version),
            "at": at,
        }
        self.metrics.put({"WindowRows": len(rows)} | ({"DriftPSI": found.psi} if found.columns else {}))
        if found.columns:
            self.store.write_json(self.lake.monitor(version, f"{at}.json"), report)
            self.ledger.put_drift(at, **{name: report[name] for name in report if name != "at"})
            self.store.write_json(self.lake.monitor(version, "mark.json"), {"read": read})
        return report

    def _new_rows(self, version: str, live: Record) -> tuple[list[str], list[Record]]:
        """The capture files of late, and the live version's rows in those that no verdict has seen.

        Firehose delivers in parallel and tries again, so files do not appear in the order of their names: each look
        lists some hours again and goes by the names it has read.
        """
        try:
            known: list[str] = self.store.json(self.lake.monitor(version, "mark.json"))["read"]
        except NoObjectError:
            known = []
        since = datetime.fromisoformat(live["since"])
        if known:
            since = max(since, captures.hour_of(self.lake, max(known)) - LATE)
        after = captures.hour_prefix(self.lake, since)
        rows: list[Record] = []
        recent = [key for key in known if key > after]
        for key, found in captures.read(self.store, self.lake, after=after, aside=frozenset(recent)):
            recent.append(key)
            rows += [row for row in found if str(row["version"]) == version]
        return recent, rows

    def labels(self, key: str, version_id: str, now: datetime) -> Record:
        """Join ground truth with what was answered; the joined rows wait for the next reason to retrain."""
        try:
            if self.store.mark(key, version_id) == FORGOTTEN:
                return _refused("known", f"{key}: rows were forgotten from it, the others were joined when they came")
            truth = self._truth(key, version_id)
        except (TableError, NoObjectError) as error:
            return _refused("refused", f"{key}: {error}")
        since = captures.hour_prefix(self.lake, now - timedelta(days=self.spec.monitoring.label_days))
        names = self._names(truth)
        matched: dict[str, Record] = {}
        answered: dict[str, Record] = {}
        for _, rows in captures.read(self.store, self.lake, after=since):
            for row in rows:
                name = names.get(row[ID]) or names.get(str(row["instance"].get(self.contract.key.name)))
                if name is not None:
                    made = self._labelled(row, name, truth[name])
                    matched[name], answered[str(made[self.contract.key.name])] = made, row
        if not matched:
            return _refused(
                "no match", f"{key}: none of {len(truth)} labels belongs to a captured row{self._sampled()}"
            )
        good = self._checked(list(matched.values()))
        if not good.height:
            return _refused("refused", f"{key}: no label is a value of {self.contract.target.name!r} in the contract")
        labels = list(good.select(self.contract.key.name, self.contract.target.name).iter_rows())
        found, slices, words = self._measured([(answered[str(row)], label) for row, label in labels])
        self.metrics.put({LIVE[name]: number for name, number in found.items()} | {"LabelledRows": good.height})
        said = self._keep(key, good, now)
        sentence = f"{good.height} of {len(truth)} labels joined{words}{self._sampled()}; {said}"
        return {"outcome": "labelled", "sentence": sentence, "rows": good.height, "slices": slices} | found

    def _sampled(self) -> str:
        """Why labels may find no row though it was answered."""
        share = self.spec.capture.sample
        return f" (capture.sample: {share:.4g} of the answers are captured)" if share < 1 else ""

    def _measured(self, pairs: list[tuple[Record, Any]]) -> tuple[Quality, list[LiveSlice], str]:
        """How well captured rows met the truth, in numbers, slices and words; of answers of another task nothing."""
        task = self.spec.task
        kept = [(row, real) for row, real in pairs if quality.answer(task, row) is not None]
        if not kept:
            return {}, [], ""
        rows, truth = [row for row, _ in kept], [real for _, real in kept]
        numbers, remark = quality.measured(task, rows, truth, self._class_names)
        slices = slicing.measured(self.spec, self.contract, rows, truth)
        words = [f", {name} {number:.3f}" for name, number in numbers.items()]
        words += [] if self.contract.target.personal else [remark]
        return numbers, slices, "".join([*words, slicing.remark(task, slices)])

    def _class_names(self, version: int) -> list[str]:
        """The classes of a version in their order; none where its files are no longer there."""
        try:
            about = self.ledger.version(version)
            return drift.class_names(self.store.json(self.lake.model_file(about["sha256"], "baseline.json")))
        except (NoRecordError, NoObjectError):
            return []

    def _truth(self, key: str, version_id: str) -> dict[str, str]:
        """Inference id or row key → label."""
        table = read_table(self.store.read(key, version_id), key)
        name, target = self.contract.key.name, self.contract.target.name
        by = ID if ID in table.columns else name
        if missing := [column for column in (by, target) if column not in table.columns]:
            raise TableError(f"labels need the columns {target!r} and {ID!r} or {name!r}; {missing[0]!r} is missing")
        known = table.select(pl.col(by).cast(pl.String), pl.col(target).cast(pl.String)).drop_nulls()
        return dict(known.iter_rows())

    def _names(self, truth: dict[str, str]) -> dict[str, str]:
        """The labels' names by what a capture holds of them: themselves, or their hash."""
        names = {name: name for name in truth}
        if self.pseudonyms is None or not self.contract.key.hashed:
            return names
        return names | {self.pseudonyms.of(self.contract.key.name, name): name for name in truth}

    def _labelled(self, row: Record, name: str, label: str) -> Record:
        """A captured row as an upload has it: what is personal is missing, be it dropped or a hash that is no value.

        Where the label gave the row key, it stands for its hash: so the row keeps its side of the split.
        """
        shown = {column.name for column in self.contract.columns if column.role == "key" or not column.personal}
        captured = row["instance"]
        made: Record = {
            column.name: captured.get(column.name) if column.name in shown else None for column in self.contract.columns
        }
        made[self.contract.target.name] = label
        known = made[self.contract.key.name] or row[ID]
        made[self.contract.key.name] = known if name == row[ID] else name
        if (event_time := self.contract.event_time) is not None:
            at = row["at"][:10] if event_time.type == "date" else row["at"]
            made[event_time.name] = made[event_time.name] or at
        return made

    def _checked(self, rows: list[Record]) -> pl.DataFrame:
        """The rows that the contract takes, in its types."""
        text = {name: [None if row[name] is None else str(row[name]) for row in rows] for name in rows[0]}
        return check(of_labelled(self.contract), pl.DataFrame(text, schema=dict.fromkeys(text, pl.String))).good

    def _keep(self, source: str, rows: pl.DataFrame, now: datetime) -> str:
        buffer = io.BytesIO()
        rows.sort(self.contract.key.name).write_parquet(buffer, compression="zstd")
        data = buffer.getvalue()
        digest = sha256(data)
        key = self.lake.labelled(digest)
        # The version id is the content's: the object may be written again after a crash, the upload is recorded once.
        self.store.write(key, data)
        if not self.ledger.record_upload(Upload(key, NEWEST, digest, len(data), timestamp(now))):
            return "these rows are known already"
        return f"{rows.height} rows from {source} wait for the next run"


def _refused(outcome: str, sentence: str) -> Record:
    return {"outcome": outcome, "sentence": sentence, "rows": 0}


def _columns(rows: list[Record], names: list[str]) -> dict[str, list[Any]]:
    """The window column by column, what was answered among them."""
    answered = {drift.SCORE: "score", drift.LABEL: "label"}
    return {
        name: [row[answered[name]] if name in answered else row["instance"].get(name) for row in rows] for name in names
    }
