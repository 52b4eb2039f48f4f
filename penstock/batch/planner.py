"""Plans a batch: checks the file by the live version's rules and splits it into parts, or refuses it with a reason.

Repeating it changes nothing: the work is named by the file's content and the live version, the plan is written after
its parts, and an existing plan is used without reading a row again. The result lists the parts that have no scores yet.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.aws.s3_store import NoObjectError, Store, describe_change, sha256
from penstock.batch.names import PLAN, SCORED, part_key, work_id
from penstock.batch.part_splitter import PartSplitter, part_lines
from penstock.batch.plan import Plan
from penstock.batch.row_contract import NO_KEY, row_contract
from penstock.contract.model import Column
from penstock.contract.row_check import RowCheck
from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Ledger, Record
from penstock.readers.open_table import ENDINGS, TableError, open_table
from penstock.scoring.onnx_file import NoSignatureError, read_signature
from penstock.scoring.signature import Signature

MOST_BYTES = 3_000_000_000
"""Maximum size of a file: unpacked as well as packed, it has to fit on the function's disk."""
MOST_PARTS = 4_000
"""Maximum number of parts: a longer list does not fit into a state machine's state."""


class RefusedError(Exception):
    """A batch that is not scored; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Planner:
    """The first step of a batch."""

    key: Column
    """The row key of today's contract."""
    lake: Lake
    store: Store
    ledger: Ledger
    part_rows: int

    def plan(self, batch: str) -> Record:
        """Plan a batch: `score` with the parts to score, `join` where none is left, `skipped` or `refused`."""
        record = self.ledger.batch(batch)
        try:
            return self._plan(batch, record)
        except (RefusedError, TableError, NoObjectError) as error:
            return {"outcome": "refused", "reason": f"{record['name']}: {error}", "items": []}

    def _plan(self, batch: str, record: Record) -> Record:
        signature = self._live_signature(record["live"])
        if record["size"] > MOST_BYTES:
            size, most = record["size"] / 1e6, MOST_BYTES / 1e6
            raise RefusedError(f"the file has {size:,.0f} MB, a batch takes {most:,.0f}: cut it and push the pieces")
        with TemporaryDirectory(prefix="penstock-") as scratch:
            path = Path(scratch) / "file"
            self.store.download(record["key"], record["version_id"], path)
            work = self._work_id(path, record)
            if (reason := self._reason_to_skip(work, record)) is not None:
                return {"outcome": "skipped", "reason": reason, "items": []}
            plan = self._earlier_plan(work) or self._split(work, record, signature, path)
        missing = self._parts_without_scores(work, plan)
        about = {"rows": plan.rows, "bad": plan.bad, "parts": plan.parts, "unknown": list(plan.unknown)}
        self.ledger.note_batch(batch, work=work, found=plan.parts - len(missing), **about)
        reason = f"{plan.rows:,} rows in {plan.parts} parts, {len(missing)} of them to score by version {plan.version}"
        items = [{"work": work, "part": part} for part in missing]
        return {"outcome": "score" if items else "join", "reason": reason, "items": items}

    def _live_signature(self, live: Record | None) -> Signature:
        if live is None:
            model = self.lake.model
            raise RefusedError(
                f"no version of {model} is live yet: approve one with `penstock approve {model} --reason …`, "
                "then push the file again"
            )
        key = self.lake.model_file(live["sha256"], MODEL_FILE)
        data = self.store.read_recorded(key, live["model_version_id"])
        if (digest := sha256(data)) != live["sha256"]:
            raise RefusedError(describe_change(key, digest, live["sha256"]))
        try:
            return read_signature(data)
        except NoSignatureError as error:
            raise RefusedError(f"{key}: {error}") from None

    def _work_id(self, path: Path, record: Record) -> str:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        ending = next((end for end in ENDINGS[::-1] if record["name"].lower().endswith(end)), "")
        key = f"{self.key.name} {self.key.type}"
        return work_id(f"{content}{ending}", record["live"]["version"], record["live"]["sha256"], key, self.part_rows)

    def _reason_to_skip(self, work: str, record: Record) -> str | None:
        """Return why the batch is skipped: the same version scored the same file, and its output still exists."""
        if (earlier := self.ledger.find_scoring(work)) is None:
            return None
        name = self.ledger.batch(earlier)["name"]
        # Under another name it gets an output of its own, joined from the same scores.
        if name != record["name"] or self.store.size(self.lake.batch_output(name), None) is None:
            return None
        output = self.lake.uri(self.lake.batch_output(name))
        version = record["live"]["version"]
        return f"the same file was scored by version {version} as batch {earlier}, its scores are in {output}"

    def _earlier_plan(self, work: str) -> Plan | None:
        """Return the plan of an earlier batch while its parts exist: they expire, and the first of them first."""
        if self.store.size(part_key(self.lake, work, 0), None) is None:
            return None
        try:
            return Plan.read(self.store.json(self.lake.batch_work(work, PLAN)))
        except NoObjectError:
            return None

    def _split(self, work: str, record: Record, signature: Signature, path: Path) -> Plan:
        """Check the file's rows and write the parts, then the plan."""
        contract = row_contract(signature, self.key)
        splitter = PartSplitter(lambda part, data: self._write_part(work, part, data), self.part_rows)
        with open_table(path, record["name"], scratch=path.parent) as table:
            row_check = RowCheck(contract, table.names)
            columns = {column.name for column in contract.columns}
            for rows in table.batches([name for name in table.names if name in columns]):
                first = row_check.tally.rows + 1
                splitter.add(part_lines(row_check.check(rows), first, work, contract.key.name))
            splitter.close()
            has_key = contract.key.name != NO_KEY and contract.key.name in table.names
        tally, live = row_check.tally, record["live"]
        if not tally.rows:
            raise TableError("there are no rows")
        plan = Plan(
            version=live["version"],
            sha256=live["sha256"],
            model_version_id=live["model_version_id"],
            rows=tally.rows,
            bad=tally.bad,
            parts=splitter.parts,
            key=contract.key.name if has_key else None,
            classes=signature.classes,
            unknown=tally.unknown,
        )
        self.store.write_json(self.lake.batch_work(work, PLAN), plan.document())
        return plan

    def _write_part(self, work: str, part: int, data: bytes) -> None:
        if part >= MOST_PARTS:
            rows = MOST_PARTS * self.part_rows
            raise RefusedError(
                f"the file has more rows than a batch takes (about {rows:,}): cut it and push the pieces"
            )
        self.store.write(part_key(self.lake, work, part), data)

    def _parts_without_scores(self, work: str, plan: Plan) -> list[int]:
        folder = self.lake.batch_work(work, SCORED)
        scored = {int(key.removeprefix(folder).partition(".")[0]) for key in self.store.keys(folder)}
        return sorted(set(range(plan.parts)) - scored)
