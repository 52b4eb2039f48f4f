"""Uploads checked against the contract; the good rows become parts of a dataset version, the others go to quarantine.

Repeating it changes nothing: parts and versions are named by their content, and an upload's record is overwritten with
the same. Files that are too large to be checked here are left to a job, which runs the same inspection; then this is
called again and goes on from what the job found.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from penstock.aws.s3_store import NoObjectError, Store, sha256
from penstock.contract.model import Contract
from penstock.datasets.store import read_dataset
from penstock.datasets.version import Dataset, Part
from penstock.features.ingest import FeatureIngest
from penstock.lake import MODEL_FILE, Lake, holds_rows, split_uri
from penstock.ledger.ledger import Ledger, Record, Upload
from penstock.pipeline import run_inputs as inputs
from penstock.pipeline.inspection import FILES, FileFinding, Inspection
from penstock.pipeline.revalidation import Renewal, find_renewals, refused_uploads, stale_parts
from penstock.readers.table import shorten
from penstock.spec.model import ARCHIVE, ModelSpec

TOLD = 200_000
"""Characters of findings that a run's record in the ledger holds at most; report.json in quarantine holds all."""
MEGABYTE = 1_000_000
SAID = 500
"""Characters of a file's refusal that a run's reason holds."""


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
    code_parts: inputs.CodeParts = field(default_factory=dict)
    """What `sources` consists of, each part by its digest."""
    archive: str = ""
    """S3 URI of the zip file of the model's folder."""
    image: str = ""
    """What the training job runs in."""
    base: str = ""
    """Digest of what the image is built on."""
    features: FeatureIngest | None = None
    """The feature store, where the model has one."""

    def run(self, run: str, at: str, *, inspected: bool = False) -> Record:
        """Validate a run's uploads and say what is next: `inspect`, `train`, `skipped` or `quarantined`.

        Args:
            run: its name.
            at: now.
            inspected: whether a job has looked at the files.
        """
        taken = [(upload, self._members(run, upload)) for upload in self.ledger.uploads_of(self.ledger.run(run))]
        before = self._current()
        again = self._renewals(run, before)
        files = [*(file for _, members in taken for file in members), *(item.file for item in again)]
        if not inspected and sum(file.size for file in files) > self.spec.validation.job_above_mb * MEGABYTE:
            return self._inspect(run, files)
        found = [(upload, self._found(run, upload, members, inspected)) for upload, members in taken]
        renewed = [(item, self._renewed(run, item, inspected)) for item in again]
        return self._concluded(run, at, before, found, renewed)

    def _renewals(self, run: str, before: Dataset | None) -> list[Renewal]:
        """What has to be read again under this contract: listed once for a run, as what it makes replaces the parts."""
        name = self.lake.listing(run, f"renewals-{self.contract.rulings[:12]}")
        try:
            return [Renewal.read(item) for item in self.store.json(name)]
        except NoObjectError:
            found = find_renewals(before, self.contract, self.lake, self.store)
            if found:
                self.store.write_json(name, [asdict(item) for item in found])
            return found

    def _inspect(self, run: str, files: Sequence[Upload]) -> Record:
        """Leave a job the list of what it has to look at."""
        self.store.write_json(self.lake.run_input(run, FILES), [asdict(file) for file in files])
        total = sum(file.size for file in files) / MEGABYTE
        job = {"name": f"{self.stage}-{self.spec.name}-{run}-check"}
        self._hand_code(run)
        reason = f"{len(files)} files of {total:,.0f} MB are checked by a processing job"
        return {"outcome": "inspect", "reason": reason, "dataset": None, "job": job}

    def _concluded(
        self,
        run: str,
        at: str,
        before: Dataset | None,
        taken: list[tuple[Upload, list[FileFinding]]],
        renewed: list[tuple[Renewal, FileFinding]],
    ) -> Record:
        found = [item for _, items in taken for item in items]
        report = [item.document() for item in found]
        report += [item.document() | {"again": True} for _, item in renewed]
        if report:
            self.store.write_json(self.lake.quarantine(run, "report.json"), report)
        start = before.without(stale_parts(before, self.contract)) if before else None
        parts = [part for item in (*(item for _, item in renewed), *found) for part in item.parts]
        dataset = self._next(start, parts)
        if dataset is not None and not dataset.parts:
            dataset = None
        result = _all_refused(renewed) if renewed and dataset is None else self._outcome(run, found, dataset)
        for name, reason in refused_uploads(renewed):  # before the version: a repeated step finds nothing left to renew
            self.ledger.note_refused(name, run, reason)
        if dataset is not None and dataset != before:
            self._write(dataset, run, at)
        for upload, items in taken:
            self._settle(run, upload, items, dataset, at)
        self._keep_features(dataset)  # behind the uploads' ending, which it cannot change
        self.ledger.note_step(run, "validate", at, code=self.code, uploads=_told(report), files=len(report), **result)
        return result

    def _found(self, run: str, upload: Upload, members: Sequence[Upload], inspected: bool) -> list[FileFinding]:
        """What became of an upload: of its object, or of each object in its folder."""
        found = [
            self._placed(
                self._upload(run, member, inspected=inspected),
                [(upload.place, self.lake.source(member.key, member.version_id))],
            )
            for member in members
        ]
        return found or [FileFinding(upload, refusal="the folder holds no files")]

    def _renewed(self, run: str, item: Renewal, inspected: bool) -> FileFinding:
        return self._placed(self._upload(run, item.file, inspected=inspected), item.sources)

    def _placed(self, found: FileFinding, sources: Sequence[tuple[str, str]]) -> FileFinding:
        """With the uploads that its parts are known from; refused where the dataset needs times and there are none."""
        needs_time = self.spec.split.by == "time" or getattr(self.spec.dataset, "days", None) is not None
        if needs_time and any(not part.times for part in found.parts):
            refusal = "no row has an event time, and model.yaml splits or cuts the dataset by it"
            return replace(found, parts=(), refusal=refusal)
        return replace(found, parts=tuple(part.with_sources(sources) for part in found.parts))

    def _upload(self, run: str, upload: Upload, *, inspected: bool) -> FileFinding:
        inspection = Inspection(contract=self.contract, lake=self.lake, store=self.store)
        if inspected:
            try:
                return FileFinding.read(self.store.json(inspection.finding_key(run, upload)))
            except NoObjectError:  # another contract came in between, and with it other files to look at
                pass
        return inspection.inspect(run, upload)

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

    def _keep_features(self, dataset: Dataset | None) -> None:
        """Bring the feature store up to the dataset version; a repeated step goes on where the first one ended."""
        if self.features is not None and dataset is not None:
            self.features.ingest(dataset)

    def _settle(self, run: str, upload: Upload, found: list[FileFinding], dataset: Dataset | None, at: str) -> None:
        """Note where an upload ended. Newer ones may have left it no place: then it is a version of its own."""
        parts = [part for item in found for part in item.parts]
        if dataset is None or not parts:
            self.ledger.settle_upload(upload, "quarantined", run=run, dataset=None)
            return
        version = dataset.version
        own = None if dataset.has_upload(upload.place) else self._next(None, parts)
        if own is not None and own.version != version:
            self._write(own, run, at, current=False)
            version = own.version
        self.ledger.settle_upload(upload, "dataset", run=run, dataset=version)

    def _current(self) -> Dataset | None:
        version = self.ledger.current_dataset()
        if version is None:
            return None
        return read_dataset(self.store, self.lake, self.ledger.dataset(version))

    def _next(self, before: Dataset | None, parts: list[Part]) -> Dataset | None:
        if before is None and not parts:
            return None
        start = before or Dataset(model=self.spec.name, contract=self.contract.digest, parts=())
        return start.with_parts(parts, contract=self.contract.digest, mode=self.spec.dataset, split=self.spec.split)

    def _outcome(self, run: str, found: list[FileFinding], dataset: Dataset | None) -> Record:
        version = dataset.version if dataset else None
        nothing: Record = {"dataset": version, "job": None}
        refused = [item for item in found if item.refusal]
        if found and len(refused) == len(found):
            said = _refusals(refused)
            more = f"; and {len(refused) - 5} more files" if len(refused) > 5 else ""
            return nothing | {"outcome": "quarantined", "reason": said + more}
        if dataset is None or version is None:
            return nothing | {"outcome": "skipped", "reason": "there is no data yet: upload some first"}
        given = self._inputs(dataset)
        compared = inputs.compared(given, self.ledger.runs(), but=run, code_parts=self.code_parts)
        # The digests tell whether something differs; what differs is told by the values.
        parameters = self.spec.model_dump(mode="json", exclude={"description"})
        about: Record = {"inputs": given, "compared": compared, "parameters": parameters, "image": self.image}
        about |= {inputs.CODE_PARTS: dict(self.code_parts)} if self.code_parts else {}
        if (earlier := self.ledger.find_trained(version, self.code)) and self._equals(earlier, given):
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
            "image": self.base or sha256(self.image.encode()),
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
            model = self.store.read(self.lake.model_file(live["sha256"], MODEL_FILE))
            self.store.write(self.lake.run_input(run, "champion.onnx"), model)
            self._hand_baseline(run, live["sha256"])
        self._hand_code(run)
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

    def _hand_code(self, run: str) -> None:
        """Keep the model's folder with the run: its jobs then work with the code whose digest it records.

        A deployment while the run waits for capacity or searches for params changes neither.
        """
        if self.archive:
            bucket, key = split_uri(self.archive)
            self.store.write(self.lake.run_input(run, ARCHIVE), Store(bucket).read(key), "application/zip")

    def _hand_baseline(self, run: str, sha256: str) -> None:
        """Give the training job what the champion was trained on, for the report's drift; it can do without."""
        with contextlib.suppress(NoObjectError):
            baseline = self.store.read(self.lake.model_file(sha256, "baseline.json"))
            self.store.write(self.lake.run_input(run, "champion-baseline.json"), baseline)

    def _write(self, dataset: Dataset, run: str, at: str, *, current: bool = True) -> None:
        manifest = dataset.manifest(self.lake.uri(self.lake.parts()))
        self.store.write(self.lake.manifest(dataset.version), json.dumps(manifest).encode(), "application/json")
        document = self.store.write(self.lake.version(dataset.version), dataset.document().encode(), "application/json")
        self.ledger.put_dataset(
            dataset.version,
            rows=dataset.rows,
            parts=dataset.ledger_parts(),
            contract=dataset.contract,
            run=run,
            at=at,
            # By its version: a run that was given up may still write the file, but not this record.
            document=document,
            current=current,
        )


def _all_refused(renewed: Sequence[tuple[Renewal, FileFinding]]) -> Record:
    said = _refusals([found for _, found in renewed])
    reason = f"the changed contract leaves no row of what was uploaded before: {said}"
    return {"outcome": "quarantined", "reason": reason, "dataset": None, "job": None}


def _refusals(found: Sequence[FileFinding]) -> str:
    """Why the first of them were refused."""
    return "; ".join(f"{item.upload.key}: {shorten(item.refusal or '', SAID)}" for item in found[:5])


def _told(report: list[Record]) -> list[Record]:
    """As many findings as a record can hold, the refused files' first."""
    told, size = [], 0
    for item in sorted(report, key=lambda item: item["refusal"] is None):
        size += len(json.dumps(item))
        if size > TOLD:
            break
        told.append(item)
    return told
