"""Joins the scores of a batch's parts, in the file's order: the output, and the rows that have no score."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock.aws.s3_store import Store
from penstock.batch.names import KEY, PLAN, REASON, RESERVED, scored_key
from penstock.batch.output_formats import Output, Row, open_output, read_rows
from penstock.batch.plan import Plan
from penstock.contract.file_check import commonest
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, Record


@dataclass(frozen=True, kw_only=True)
class Joiner:
    """The third step of a batch."""

    lake: Lake
    store: Store
    ledger: Ledger

    def join(self, batch: str) -> Record:
        """Join a batch's parts: `scored`, or `refused` where no row has a score; with the counts and the reason."""
        record = self.ledger.batch(batch)
        plan = Plan.read(self.store.json(self.lake.batch_work(record["work"], PLAN)))
        with TemporaryDirectory(prefix="penstock-") as scratch:
            scored, reasons = self._upload(record, plan, Path(scratch))
        return self._result(record, plan, scored, reasons)

    def _upload(self, record: Record, plan: Plan, scratch: Path) -> tuple[int, Counter[str]]:
        """Write output and errors to the lake, the output only where there is a score; return the counts."""
        output, errors = open_output(record["name"], scratch / "output", plan.classes), scratch / "errors"
        try:
            scored, reasons = self._write(record["work"], plan, output, errors)
            path = output.close()
        finally:
            output.release()
        if scored:
            self.store.write_file(self.lake.batch_output(record["name"]), path)
        self.store.write_file(self.lake.batch_errors(record["name"]), errors)
        return scored, reasons

    def _write(self, work: str, plan: Plan, output: Output, errors: Path) -> tuple[int, Counter[str]]:
        """Write both files; return how many rows have a score, and how many were refused for each reason."""
        scored, reasons = 0, Counter[str]()
        with errors.open("w", encoding="utf-8") as file:
            for part in range(plan.parts):
                rows = list(read_rows(self.store.read(scored_key(self.lake, work, part))))
                if good := [_output_row(row, plan) for row in rows if REASON not in row]:
                    output.add(good)
                    scored += len(good)
                for row in rows:
                    if REASON in row:
                        reasons[row[REASON]] += 1
                        file.write(f"{json.dumps(_error_row(row, plan))}\n")
        return scored, reasons

    def _result(self, record: Record, plan: Plan, scored: int, reasons: Counter[str]) -> Record:
        counts = {"scored": scored, "errors": reasons.total()}
        why = f" ({commonest(reasons)}): {self.lake.uri(self.lake.batch_errors(record['name']))}" if reasons else ""
        if not scored:
            return {"outcome": "refused", "reason": f"none of the {plan.rows:,} rows can be scored{why}"} | counts
        reused = f", {record['found']} of {plan.parts} parts by an earlier batch" if record["found"] else ""
        sentence = f"{scored:,} of {plan.rows:,} rows scored by version {plan.version}{reused}"
        return {
            "outcome": "scored",
            "reason": sentence + (f"; {counts['errors']:,} could not be{why}" if why else ""),
        } | counts


def _output_row(row: Row, plan: Plan) -> Row:
    """Return a row of the output: key, row number, inference id, score, label, version."""
    prediction: dict[str, Any] = row["prediction"]
    return _row_key(row, plan) | {"row": row["row"], "id": row["id"], **prediction, "version": plan.version}


def _error_row(row: Row, plan: Plan) -> Row:
    return _row_key(row, plan) | {"row": row["row"], "id": row["id"], REASON: row[REASON]}


def _row_key(row: Row, plan: Plan) -> Row:
    if plan.key is None:
        return {}
    return {KEY if plan.key in RESERVED else plan.key: row["instance"].get(plan.key)}
