"""Uploads checked against the contract; the good rows become parts of a dataset version, the others go to quarantine.

Repeating it changes nothing: parts and versions are named by their content, and an upload's record is overwritten with
the same.
"""

import io
import json
from dataclasses import asdict, dataclass, replace

import polars as pl

from penstock import inputs
from penstock.check import REASONS, Checked, TableError, check, read_table
from penstock.contract import Contract
from penstock.dataset import Dataset, Part, spread
from penstock.lake import LABELLED, Lake, holds_rows
from penstock.ledger import Ledger, Record, Upload
from penstock.privacy import of_labelled
from penstock.spec import ModelSpec
from penstock.store import NoObjectError, Store, sha256

TOLD = 200_000
"""Characters of findings that a run's record in the ledger holds at most; report.json in quarantine holds all."""


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
    sources: str = ""
    """Digest of the code without the model's specification."""
    image: str = ""
    """What the training job runs in."""

    def run(self, run: str, at: str) -> Record:
        """Validate a run's uploads and say what is next: `train`, `skipped` or `quarantined`."""
        taken = [(upload, self._found(run, upload)) for upload in self.ledger.uploads_of(self.ledger.run(run))]
        found = [item for _, items in taken for item in items]
        report = [item.document() for item in found]
        if found:
            self.store.write_json(self.lake.quarantine(run, "report.json"), report)
        before = self._current()
        dataset = self._next(before, [item.part for item in found if item.part])
        result = self._outcome(run, found, dataset)
        if dataset is not None and dataset != before:
            self._write(dataset, run, at)
        for upload, items in taken:
            self._settle(run, upload, items, dataset, at)
        self.ledger.note_step(run, "validate", at, code=self.code, uploads=_told(report), files=len(report), **result)
        return result

    def _found(self, run: str, upload: Upload) -> list[Found]:
        """What became of an upload: of its object, or of each object in its folder."""
        found = [self._upload(run, member) for member in self._members(run, upload)]
        needs_time = self.spec.split.by == "time" or getattr(self.spec.dataset, "days", None) is not None
        for index, item in enumerate(found):
            if item.part and needs_time and not item.part.times:
                refusal = "no row has an event time, and model.yaml splits or cuts the dataset by it"
                found[index] = replace(item, part=None, refusal=refusal)
            elif item.part:
                found[index] = replace(item, part=item.part.of((upload.place, uri) for uri in item.part.uploads))
        return found or [Found(upload, 0, 0, {}, "the folder holds no files", None)]

    def _members(self, run: str, upload: Upload) -> list[Upload]:
        """The objects of an upload, each by its version.

        A folder is listed once for a run: what a repeated step reads is what the first one read.
        """
        if upload.folder is None:
            return [upload]
        name = self.lake.listing(run, sha256(upload.name.encode())[:12])
        try:
            listed = self.store.json(name)
        except NoObjectError:
            versions = self.store.versions(upload.folder)
            listed = [asdict(item) for item in versions if holds_rows(item.key.removeprefix(upload.folder))]
            self.store.write_json(name, listed)
        return [replace(upload, **item) for item in listed]

    def _settle(self, run: str, upload: Upload, found: list[Found], dataset: Dataset | None, at: str) -> None:
        """Note where an upload ended. Newer ones may have left it no place: then it is a version of its own."""
        parts = [item.part for item in found if item.part]
        if dataset is None or not parts:
            self.ledger.settle_upload(upload, "quarantined", run=run, dataset=None)
            return
        version = dataset.version
        own = None if dataset.has(upload.place) else self._next(None, parts)
        if own is not None and own.version != version:
            self._write(own, run, at, current=False)
            version = own.version
        self.ledger.settle_upload(upload, "dataset", run=run, dataset=version)

    def _current(self) -> Dataset | None:
        version = self.ledger.current_dataset()
        if version is None:
            return None
        document = self.ledger.dataset(version).get("document")
        return Dataset.read(self.store.read(self.lake.version(version), document))

    def _next(self, before: Dataset | None, parts: list[Part]) -> Dataset | None:
        if before is None and not parts:
            return None
        start = before or Dataset(model=self.spec.name, contract=self.contract.digest, parts=())
        return start.with_parts(parts, contract=self.contract.digest, mode=self.spec.dataset, split=self.spec.split)

    def _outcome(self, run: str, found: list[Found], dataset: Dataset | None) -> Record:
        version = dataset.version if dataset else None
        nothing: Record = {"dataset": version, "job": None}
        refused = [item for item in found if item.refusal]
        if found and len(refused) == len(found):
            said = "; ".join(f"{item.upload.key}: {item.refusal}" for item in refused[:5])
            more = f"; and {len(refused) - 5} more files" if len(refused) > 5 else ""
            return nothing | {"outcome": "quarantined", "reason": said + more}
        if dataset is None or version is None:
            return nothing | {"outcome": "skipped", "reason": "there is no data yet: upload some first"}
        given = self._inputs(dataset)
        about: Record = {"inputs": given, "compared": inputs.compared(given, self.ledger.runs(), but=run)}
        if (earlier := self.ledger.trained(version, self.code)) and self._equals(earlier, given):
            reason = f"same data, code and parameters as run {earlier}: nothing would come out differently"
            same = inputs.equal(earlier)
            return nothing | {"outcome": "skipped", "reason": reason, "same_as": earlier} | about | {"compared": same}
        reason = f"dataset {version[:12]} of {dataset.rows} rows in {len(dataset.parts)} parts"
        return {"outcome": "train", "reason": reason, "dataset": version, "job": self._job(run, dataset)} | about

    def _inputs(self, dataset: Dataset) -> inputs.Inputs:
        """The digest of each thing that decides what comes out of a run."""
        parameters = self.spec.model_dump_json(exclude={"description"})
        return {
            "data": dataset.data,
            "code": self.sources or self.code,
            "parameters": sha256(parameters.encode()),
            "image": sha256(self.image.encode()),
            "contract": dataset.contract,
        }

    def _equals(self, run: str, given: inputs.Inputs) -> bool:
        """Whether a run that trained this code on this data had the image of today too."""
        known = self.ledger.run(run)["steps"].get("validate", {}).get("inputs", {})
        return bool(known.get("image", given["image"]) == given["image"])

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
        } | ({"cut": dataset.cut} if dataset.cut else {})
        self.store.write_json(self.lake.run_input(run, "request.json"), request)
        return {
            "name": f"{self.stage}-{self.spec.name}-{run}",
            "dataset": self.lake.uri(self.lake.manifest(dataset.version)),
            "input": self.lake.uri(self.lake.run_input(run)),
            "output": self.lake.uri(self.lake.run_output(run)),
        }

    def _write(self, dataset: Dataset, run: str, at: str, *, current: bool = True) -> None:
        manifest = dataset.manifest(self.lake.uri(self.lake.parts()))
        self.store.write(self.lake.manifest(dataset.version), json.dumps(manifest).encode(), "application/json")
        document = self.store.write(self.lake.version(dataset.version), dataset.document().encode(), "application/json")
        parts = [asdict(replace(part, times=(), places=())) for part in dataset.parts]
        self.ledger.put_dataset(
            dataset.version,
            rows=dataset.rows,
            parts=parts,
            contract=dataset.contract,
            run=run,
            at=at,
            # By its version: a run that was given up may still write the file, but not this record.
            document=document,
            current=current,
        )

    def _upload(self, run: str, upload: Upload) -> Found:
        try:
            contract = of_labelled(self.contract) if upload.key.startswith(f"{LABELLED}/") else self.contract
            checked = check(contract, read_table(self.store.read(upload.key, upload.version_id), upload.key))
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
        return Part(sha256=digest, rows=good.height, size=len(data), uploads=(source,), times=self._times(good))

    def _times(self, good: pl.DataFrame) -> tuple[int, ...]:
        column = self.contract.event_time
        if column is None:
            return ()
        times = good[column.name].cast(pl.Datetime("us")).drop_nulls().dt.epoch("us").sort()
        return spread(times.to_list())


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _commonest(reasons: dict[str, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{count} × {reason}" for reason, count in most)


def _told(report: list[Record]) -> list[Record]:
    """As many findings as a record can hold, the refused files' first."""
    told, size = [], 0
    for item in sorted(report, key=lambda item: item["refusal"] is None):
        size += len(json.dumps(item))
        if size > TOLD:
            break
        told.append(item)
    return told
