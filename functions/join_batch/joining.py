"""The parts' scores put together, in the file's order: the output beside the input, and the rows that have no score."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from functions.join_batch.formats import Output, Row, decoded, output_of
from penstock.aws.s3_store import Store
from penstock.batches import KEY, OWN, PLAN, REASON, Plan, scored_key
from penstock.contract.file_check import commonest
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, Record


@dataclass(frozen=True, kw_only=True)
class Joining:
    """The step, with everything it works on."""

    lake: Lake
    store: Store
    ledger: Ledger

    def run(self, batch: str) -> Record:
        """Join a batch's parts: `scored` or, where no row could be, `refused`; with the counts and the reason."""
        record = self.ledger.batch(batch)
        plan = Plan.read(self.store.json(self.lake.batch_work(record["work"], PLAN)))
        with TemporaryDirectory(prefix="penstock-") as scratch:
            scored, reasons = self._written(record, plan, Path(scratch))
        return self._ending(record, plan, scored, reasons)

    def _written(self, record: Record, plan: Plan, scratch: Path) -> tuple[int, Counter[str]]:
        """Output and errors in the lake; the output only where there is a score."""
        output, errors = output_of(record["name"], scratch / "output", plan.classes), scratch / "errors"
        try:
            scored, reasons = self._joined(record["work"], plan, output, errors)
            path = output.close()
        finally:
            output.release()
        if scored:
            self.store.write_file(self.lake.batch_output(record["name"]), path)
        self.store.write_file(self.lake.batch_errors(record["name"]), errors)
        return scored, reasons

    def _joined(self, work: str, plan: Plan, output: Output, errors: Path) -> tuple[int, Counter[str]]:
        """Write both files; how many rows have a score, and how many were refused for each reason."""
        scored, reasons = 0, Counter[str]()
        with errors.open("w", encoding="utf-8") as file:
            for part in range(plan.parts):
                rows = list(decoded(self.store.read(scored_key(self.lake, work, part))))
                if good := [_answer(row, plan) for row in rows if REASON not in row]:
                    output.add(good)
                    scored += len(good)
                for row in rows:
                    if REASON in row:
                        reasons[row[REASON]] += 1
                        file.write(f"{json.dumps(_error(row, plan))}\n")
        return scored, reasons

    def _ending(self, record: Record, plan: Plan, scored: int, reasons: Counter[str]) -> Record:
        counts = {"scored": scored, "errors": reasons.total()}
        why = f" ({commonest(reasons)}): {self.lake.uri(self.lake.batch_errors(record['name']))}" if reasons else ""
        if not scored:
            return {"outcome": "refused", "reason": f"none of the {plan.rows:,} rows can be scored{why}"} | counts
        again = f", {record['found']} of {plan.parts} parts by an earlier batch" if record["found"] else ""
        said = f"{scored:,} of {plan.rows:,} rows scored by version {plan.version}{again}"
        return {
            "outcome": "scored",
            "reason": said + (f"; {counts['errors']:,} could not be{why}" if why else ""),
        } | counts


def _answer(row: Row, plan: Plan) -> Row:
    """A row of the output: key, row number, inference id, score, label, version."""
    prediction: dict[str, Any] = row["prediction"]
    return _known(row, plan) | {"row": row["row"], "id": row["id"], **prediction, "version": plan.version}


def _error(row: Row, plan: Plan) -> Row:
    return _known(row, plan) | {"row": row["row"], "id": row["id"], REASON: row[REASON]}


def _known(row: Row, plan: Plan) -> Row:
    if plan.key is None:
        return {}
    return {KEY if plan.key in OWN else plan.key: row["instance"].get(plan.key)}
