"""A batch's file checked by the live version's rules and dealt into parts; or the sentence why nothing is scored.

Repeating it changes nothing: the work is named by the file's content and the live version, the plan is written behind
its parts, and whoever finds the plan reads no row again. What is handed on are the parts that have no scores yet.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.plan_batch.dealing import Dealer, lines
from functions.plan_batch.rules import NO_KEY, rules
from penstock.aws.s3_store import NoObjectError, Store, changed_file, sha256
from penstock.batches import PLAN, SCORED, Plan, part_key, work_id
from penstock.contract.model import Column
from penstock.contract.row_check import Check
from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Ledger, Record
from penstock.readers.open_table import ENDINGS, TableError, open_table
from penstock.scoring.onnx_metadata import NoSignatureError, signature_of
from penstock.scoring.signature import Signature

MOST_BYTES = 3_000_000_000
"""Of a file: with what it unpacks to it has to fit on the function's disk."""
MOST_PARTS = 4_000
"""A list of more is too long for a state machine's state."""


class RefusedError(Exception):
    """A batch that is not scored; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Planning:
    """The step, with everything it works on."""

    key: Column
    """The row key, as today's contract has it."""
    lake: Lake
    store: Store
    ledger: Ledger
    part_rows: int

    def run(self, batch: str) -> Record:
        """Plan a batch: `score` with the parts that are left, `join` where none is, `skipped` or `refused`."""
        record = self.ledger.batch(batch)
        try:
            return self._planned(batch, record)
        except (RefusedError, TableError, NoObjectError) as error:
            return {"outcome": "refused", "reason": f"{record['name']}: {error}", "items": []}

    def _planned(self, batch: str, record: Record) -> Record:
        signature = self._signature(record["live"])
        if record["size"] > MOST_BYTES:
            size, most = record["size"] / 1e6, MOST_BYTES / 1e6
            raise RefusedError(f"the file has {size:,.0f} MB, a batch takes {most:,.0f}: cut it and push the pieces")
        with TemporaryDirectory(prefix="penstock-") as scratch:
            path = Path(scratch) / "file"
            self.store.download(record["key"], record["version_id"], path)
            work = self._work(path, record)
            if (said := self._known(work, record)) is not None:
                return {"outcome": "skipped", "reason": said, "items": []}
            plan = self._plan(work) or self._dealt(work, record, signature, path)
        todo = self._left(work, plan)
        about = {"rows": plan.rows, "bad": plan.bad, "parts": plan.parts, "unknown": list(plan.unknown)}
        self.ledger.note_batch(batch, work=work, found=plan.parts - len(todo), **about)
        reason = f"{plan.rows:,} rows in {plan.parts} parts, {len(todo)} of them to score by version {plan.version}"
        items = [{"work": work, "part": part} for part in todo]
        return {"outcome": "score" if items else "join", "reason": reason, "items": items}

    def _signature(self, live: Record | None) -> Signature:
        if live is None:
            model = self.lake.model
            raise RefusedError(
                f"no version of {model} is live yet: approve one with `penstock approve {model} --reason …`, "
                "then push the file again"
            )
        key = self.lake.model_file(live["sha256"], MODEL_FILE)
        data = self.store.noted(key, live["model_version_id"])
        if (found := sha256(data)) != live["sha256"]:
            raise RefusedError(changed_file(key, found, live["sha256"]))
        try:
            return signature_of(data)
        except NoSignatureError as error:
            raise RefusedError(f"{key}: {error}") from None

    def _work(self, path: Path, record: Record) -> str:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        ending = next((end for end in ENDINGS[::-1] if record["name"].lower().endswith(end)), "")
        key = f"{self.key.name} {self.key.type}"
        return work_id(f"{content}{ending}", record["live"]["version"], record["live"]["sha256"], key, self.part_rows)

    def _known(self, work: str, record: Record) -> str | None:
        """Why the batch is skipped: the same file was scored by the same version, and its output is there."""
        if (earlier := self.ledger.batched(work)) is None:
            return None
        done = self.ledger.batch(earlier)
        # Under another name it gets an output beside it, of the scores that are there.
        if done["name"] != record["name"] or self.store.size(self.lake.batch_output(done["name"]), None) is None:
            return None
        output = self.lake.uri(self.lake.batch_output(done["name"]))
        version = record["live"]["version"]
        return f"the same file was scored by version {version} as batch {earlier}, its scores are in {output}"

    def _plan(self, work: str) -> Plan | None:
        """What was planned before, while its parts are there: they expire, the first of them first."""
        if self.store.size(part_key(self.lake, work, 0), None) is None:
            return None
        try:
            return Plan.read(self.store.json(self.lake.batch_work(work, PLAN)))
        except NoObjectError:
            return None

    def _dealt(self, work: str, record: Record, signature: Signature, path: Path) -> Plan:
        contract = rules(signature, self.key)
        dealer = Dealer(lambda part, data: self._give(work, part, data), self.part_rows)
        with open_table(path, record["name"], scratch=path.parent) as table:
            check = Check(contract, table.names)
            known = {column.name for column in contract.columns}
            for rows in table.batches([name for name in table.names if name in known]):
                first = check.tally.rows + 1
                dealer.add(lines(check.batch(rows), first, work, contract.key.name))
            dealer.close()
            keyed = contract.key.name != NO_KEY and contract.key.name in table.names
        tally, live = check.tally, record["live"]
        if not tally.rows:
            raise TableError("there are no rows")
        plan = Plan(
            version=live["version"],
            sha256=live["sha256"],
            model_version_id=live["model_version_id"],
            rows=tally.rows,
            bad=tally.bad,
            parts=dealer.parts,
            key=contract.key.name if keyed else None,
            classes=signature.classes,
            unknown=tally.unknown,
        )
        self.store.write_json(self.lake.batch_work(work, PLAN), plan.document())
        return plan

    def _give(self, work: str, part: int, data: bytes) -> None:
        if part >= MOST_PARTS:
            rows = MOST_PARTS * self.part_rows
            raise RefusedError(
                f"the file has more rows than a batch takes (about {rows:,}): cut it and push the pieces"
            )
        self.store.write(part_key(self.lake, work, part), data)

    def _left(self, work: str, plan: Plan) -> list[int]:
        folder = self.lake.batch_work(work, SCORED)
        done = {int(key.removeprefix(folder).partition(".")[0]) for key in self.store.keys(folder)}
        return sorted(set(range(plan.parts)) - done)
