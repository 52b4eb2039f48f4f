"""Uploads checked against the contract; the good rows become parts of a dataset version, the others go to quarantine.

Repeating it changes nothing: parts and versions are named by their content, and an upload's record is overwritten with
the same.
"""

import io
import json
from dataclasses import asdict, dataclass

import polars as pl

from penstock.check import REASONS, Checked, TableError, check, read_table
from penstock.contract import Contract
from penstock.dataset import Dataset, Part
from penstock.lake import Lake
from penstock.ledger import Ledger, Record, Upload, UploadEnd
from penstock.spec import ModelSpec
from penstock.store import NoObjectError, Store, sha256


@dataclass(frozen=True)
class Found:
    """What became of one upload."""

    upload: Upload
    rows: int
    bad: int
    reasons: dict[str, int]
    refusal: str | None
    """Why the whole file was refused."""
    part: Part | None
    unknown: tuple[str, ...] = ()

    def document(self) -> Record:
        """For the report and the ledger."""
        about = {
            "key": self.upload.key,
            "version_id": self.upload.version_id,
            "part": self.part.sha256 if self.part else None,
        }
        return (
            about
            | {name: getattr(self, name) for name in ("rows", "bad", "reasons", "refusal")}
            | {"unknown": list(self.unknown)}
        )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The step, with everything it works on."""

    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    code: str
    stage: str

    def run(self, run: str, at: str) -> Record:
        """Validate a run's uploads and say what is next: `train`, `skipped` or `quarantined`."""
        found = [self._upload(run, upload) for upload in self.ledger.uploads_of(self.ledger.run(run))]
        if found:
            self.store.write_json(self.lake.quarantine(run, "report.json"), [item.document() for item in found])
        parts = [item.part for item in found if item.part]
        before = self._current()
        dataset = self._next(before, parts)
        result = self._outcome(run, found, dataset)
        if dataset is not None and dataset != before:
            self._write(dataset, run, at)
        for item in found:
            state: UploadEnd = "dataset" if item.part else "quarantined"
            self.ledger.settle_upload(
                item.upload, state, run=run, dataset=dataset.version if dataset and item.part else None
            )
        self.ledger.note_step(
            run, "validate", at, code=self.code, uploads=[item.document() for item in found], **result
        )
        return result

    def _current(self) -> Dataset | None:
        version = self.ledger.current_dataset()
        return Dataset.read(self.store.read(self.lake.version(version))) if version else None

    def _next(self, before: Dataset | None, parts: list[Part]) -> Dataset | None:
        if before is None and not parts:
            return None
        start = before or Dataset(model=self.spec.name, contract=self.contract.digest, parts=())
        replace = self.spec.dataset == "replace" and bool(parts)
        return start.with_parts(parts, contract=self.contract.digest, replace=replace)

    def _outcome(self, run: str, found: list[Found], dataset: Dataset | None) -> Record:
        version = dataset.version if dataset else None
        nothing: Record = {"dataset": version, "job": None}
        refused = [item for item in found if item.refusal]
        if found and len(refused) == len(found):
            reason = "; ".join(f"{item.upload.key}: {item.refusal}" for item in refused)
            return nothing | {"outcome": "quarantined", "reason": reason}
        if dataset is None or version is None:
            return nothing | {"outcome": "skipped", "reason": "there is no data yet: upload some first"}
        if earlier := self.ledger.trained(version, self.code):
            reason = f"same data, code and parameters as run {earlier}: nothing would come out differently"
            return nothing | {"outcome": "skipped", "reason": reason, "same_as": earlier}
        reason = f"dataset {version[:12]} of {dataset.rows} rows in {len(dataset.parts)} parts"
        return {"outcome": "train", "reason": reason, "dataset": version, "job": self._job(run, dataset)}

    def _job(self, run: str, dataset: Dataset) -> Record:
        """Leave the training job's input and say where it is."""
        live = self.ledger.live()
        champion = {"version": live["version"], "sha256": live["sha256"]} if live else None
        if live:
            model = self.store.read(self.lake.model_file(live["sha256"], "model.onnx"))
            self.store.write(self.lake.run_input(run, "champion.onnx"), model)
        request = {
            "model": self.spec.name,
            "run": run,
            "dataset": dataset.version,
            "parts": [part.sha256 for part in dataset.parts],
            "champion": champion,
        }
        self.store.write_json(self.lake.run_input(run, "request.json"), request)
        return {
            "name": f"{self.stage}-{self.spec.name}-{run}",
            "dataset": self.lake.uri(self.lake.manifest(dataset.version)),
            "input": self.lake.uri(self.lake.run_input(run)),
            "output": self.lake.uri(self.lake.run_output(run)),
        }

    def _write(self, dataset: Dataset, run: str, at: str) -> None:
        manifest = dataset.manifest(self.lake.uri(self.lake.parts()))
        self.store.write(self.lake.manifest(dataset.version), json.dumps(manifest).encode(), "application/json")
        self.store.write(self.lake.version(dataset.version), dataset.document().encode(), "application/json")
        self.ledger.put_dataset(
            dataset.version,
            rows=dataset.rows,
            parts=[asdict(part) for part in dataset.parts],
            contract=dataset.contract,
            run=run,
            at=at,
        )

    def _upload(self, run: str, upload: Upload) -> Found:
        try:
            checked = check(self.contract, read_table(self.store.read(upload.key, upload.version_id), upload.key))
        except (TableError, NoObjectError) as error:
            return Found(upload, 0, 0, {}, str(error), None)
        refusal = self._refusal(checked)
        if checked.bad.height:
            self._quarantine(run, upload, checked)
        part = None if refusal else self._part(upload, checked.good)
        return Found(upload, checked.rows, checked.bad.height, checked.reasons, refusal, part, checked.unknown)

    def _refusal(self, checked: Checked) -> str | None:
        if not checked.good.height:
            return f"none of the {checked.rows} rows is good ({_commonest(checked.reasons)})"
        if checked.share <= self.contract.tolerance:
            return None
        return (
            f"{checked.bad.height} of {checked.rows} rows are bad ({checked.share:.1%}), "
            f"the contract tolerates {self.contract.tolerance:.1%} ({_commonest(checked.reasons)})"
        )

    def _quarantine(self, run: str, upload: Upload, checked: Checked) -> None:
        name = sha256(upload.name.encode())[:12]
        bad = checked.bad.with_columns(pl.col(REASONS).list.join("; "))
        self.store.write(self.lake.quarantine(run, f"{name}.parquet"), _parquet(bad))

    def _part(self, upload: Upload, good: pl.DataFrame) -> Part:
        data = _parquet(good)
        digest = sha256(data)
        self.store.write(self.lake.part(digest), data)
        source = f"{self.lake.uri(upload.key)}?versionId={upload.version_id}"
        return Part(sha256=digest, rows=good.height, size=len(data), uploads=(source,))


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _commonest(reasons: dict[str, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{count} × {reason}" for reason, count in most)
