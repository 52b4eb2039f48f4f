"""Compares what the live version answered since the last verdict with its baseline.

The window is what is new: each captured row counts for one verdict. A window that is too small is left to grow.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from penstock.aws.cloudwatch import Metrics
from penstock.aws.s3_store import NoObjectError, Store
from penstock.captures import reader as captures
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, Record, timestamp
from penstock.monitoring import drift
from penstock.spec.model import ModelSpec

LATE = timedelta(hours=6)
"""How much later than its neighbours a capture file may appear."""


@dataclass(frozen=True, kw_only=True)
class DriftCheck:
    """The hourly check of one model."""

    spec: ModelSpec
    lake: Lake
    store: Store
    ledger: Ledger
    metrics: Metrics

    def run(self, now: datetime) -> Record:
        """Compare the new rows with the baseline; a verdict is reported to S3, the ledger and CloudWatch."""
        live = self.ledger.live()
        if live is None:
            return {"outcome": "no data", "sentence": "no version is live yet", "rows": 0, "psi": 0.0, "columns": []}
        version = str(live["version"])
        files, rows = self._new_rows(version, live)
        baseline = self.store.json(self.lake.model_file(live["sha256"], "baseline.json"))
        result = drift.compare(
            baseline,
            _columns(rows, list(baseline)),
            rows=len(rows),
            min_rows=self.spec.monitoring.min_rows,
            threshold=self.spec.monitoring.psi_threshold,
        )
        at = timestamp(now)
        report = asdict(result) | {
            "columns": [asdict(column) for column in result.columns],
            "version": int(version),
            "at": at,
        }
        self.metrics.put({"WindowRows": len(rows)} | ({"DriftPSI": result.psi} if result.columns else {}))
        if result.columns:
            self.store.write_json(self.lake.monitor(version, f"{at}.json"), report)
            self.ledger.put_drift(at, **{name: report[name] for name in report if name != "at"})
            self.store.write_json(self.lake.monitor(version, "mark.json"), {"read": files})
        return report

    def _new_rows(self, version: str, live: Record) -> tuple[list[str], list[Record]]:
        """Return the recent capture files, and the live version's rows in those that no verdict has used.

        Firehose delivers in parallel and retries, so files do not appear in the order of their names: each check lists
        some hours again and skips the files whose names it has recorded.
        """
        try:
            used: list[str] = self.store.json(self.lake.monitor(version, "mark.json"))["read"]
        except NoObjectError:
            used = []
        since = datetime.fromisoformat(live["since"])
        if used:
            since = max(since, captures.hour_of(self.lake, max(used)) - LATE)
        after = captures.hour_prefix(self.lake, since)
        rows: list[Record] = []
        recent = [key for key in used if key > after]
        for key, file_rows in captures.read(self.store, self.lake, after=after, skip=frozenset(recent)):
            recent.append(key)
            rows += [row for row in file_rows if str(row["version"]) == version]
        return recent, rows


def _columns(rows: list[Record], names: list[str]) -> dict[str, list[Any]]:
    """Return the window column by column, predictions included."""
    predicted = {drift.SCORE: "score", drift.LABEL: "label"}
    return {
        name: [row[predicted[name]] if name in predicted else row["instance"].get(name) for row in rows]
        for name in names
    }
