"""Validation: check uploads against the contract; good rows become parts of a dataset version, others go to quarantine.

A repetition changes nothing: parts and versions are named by their content, and an upload's record is overwritten with
the same. Files that are too large to be checked here are left to a job, which runs the same inspection; then this runs
again and goes on from the job's findings.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from penstock.aws.s3_store import NoObjectError, Store, sha256
from penstock.contract.model import Contract
from penstock.datasets.store import read_dataset
from penstock.datasets.version import Dataset, Part
from penstock.features.ingest import FeatureIngest
from penstock.lake import Lake, holds_rows
from penstock.ledger.ledger import Ledger, Record, Upload
from penstock.pipeline.inspection import FileFinding, Inspection
from penstock.pipeline.job_input import JobInput
from penstock.pipeline.revalidation import Renewal, find_renewals, refused_uploads, stale_parts
from penstock.pipeline.run_inputs import CODE_PARTS, CodeParts, Inputs, compare_inputs, equal_inputs
from penstock.readers.table import shorten
from penstock.spec.model import ModelSpec

FINDINGS_LIMIT = 200_000
"""Characters of findings in a run's record in the ledger; report.json in quarantine has all of them."""
MEGABYTE = 1_000_000
REFUSAL_LIMIT = 500
"""Characters of a file's refusal in a run's reason."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Validates the runs of one model."""

    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    code: str
    stage: str
    sources: str = ""
    """Digest of the code without the model's specification."""
    code_parts: CodeParts = field(default_factory=dict)
    """The parts of `sources`, each by its digest."""
    archive: str = ""
    """S3 URI of the zip file of the model's folder."""
    image: str = ""
    """The image of the training job."""
    base: str = ""
    """Digest of the image's base."""
    features: FeatureIngest | None = None
    """The feature store, where the model has one."""

    def run(self, run: str, at: str, *, inspected: bool = False) -> Record:
        """Validate a run's uploads and decide what is next: `inspect`, `train`, `skipped` or `quarantined`.

        Args:
            run: its name.
            at: now.
            inspected: whether a job has inspected the files.
        """
        uploads = [(upload, self._list_members(run, upload)) for upload in self.ledger.uploads_of(self.ledger.run(run))]
        before = self._current_dataset()
        renewals = self._list_renewals(run, before)
        files = [*(file for _, members in uploads for file in members), *(item.file for item in renewals)]
        if not inspected and sum(file.size for file in files) > self.spec.validation.job_above_mb * MEGABYTE:
            return self._leave_to_job(run, files)
        findings = [(upload, self._inspect_upload(run, upload, members, inspected)) for upload, members in uploads]
        renewed = [(item, self._inspect_renewal(run, item, inspected)) for item in renewals]
        return self._conclude(run, at, before, findings, renewed)

    def _list_renewals(self, run: str, before: Dataset | None) -> list[Renewal]:
        """List the files to read again under this contract; listed once for a run, which then replaces their parts."""
        name = self.lake.listing(run, f"renewals-{self.contract.rulings[:12]}")
        try:
            return [Renewal.read(item) for item in self.store.json(name)]
        except NoObjectError:
            renewals = find_renewals(before, self.contract, self.lake, self.store)
            if renewals:
                self.store.write_json(name, [asdict(item) for item in renewals])
            return renewals

    def _leave_to_job(self, run: str, files: Sequence[Upload]) -> Record:
        """Leave the inspection of the files to a processing job."""
        total = sum(file.size for file in files) / MEGABYTE
        reason = f"{len(files)} files of {total:,.0f} MB are checked by a processing job"
        job = self._job_input(run).write_files(files)
        return {"outcome": "inspect", "reason": reason, "dataset": None, "job": job}

    def _conclude(
        self,
        run: str,
        at: str,
        before: Dataset | None,
        uploads: list[tuple[Upload, list[FileFinding]]],
        renewed: list[tuple[Renewal, FileFinding]],
    ) -> Record:
        """Write the dataset version, the report and the records that follow from the findings."""
        findings = [item for _, items in uploads for item in items]
        report = [item.document() for item in findings]
        report += [item.document() | {"again": True} for _, item in renewed]
        if report:
            self.store.write_json(self.lake.quarantine(run, "report.json"), report)
        start = before.without(stale_parts(before, self.contract)) if before else None
        parts = [part for item in (*(item for _, item in renewed), *findings) for part in item.parts]
        dataset = self._next(start, parts)
        if dataset is not None and not dataset.parts:
            dataset = None
        result = _all_refused(renewed) if renewed and dataset is None else self._outcome(run, findings, dataset)
        for name, reason in refused_uploads(renewed):  # before the version: a repeated step has nothing left to renew
            self.ledger.note_refused(name, run, reason)
        if dataset is not None and dataset != before:
            self._write(dataset, run, at)
        for upload, items in uploads:
            self._settle(run, upload, items, dataset, at)
        self._ingest_features(dataset)  # after the uploads are settled, which it cannot change
        self.ledger.note_step(
            run, "validate", at, code=self.code, uploads=_shorten_report(report), files=len(report), **result
        )
        return result

    def _inspect_upload(
        self, run: str, upload: Upload, members: Sequence[Upload], inspected: bool
    ) -> list[FileFinding]:
        """Inspect an upload: its object, or each object in its folder."""
        findings = [
            self._with_sources(
                self._inspect_file(run, member, inspected=inspected),
                [(upload.place, self.lake.source(member.key, member.version_id))],
            )
            for member in members
        ]
        return findings or [FileFinding(upload, refusal="the folder holds no files")]

    def _inspect_renewal(self, run: str, item: Renewal, inspected: bool) -> FileFinding:
        return self._with_sources(self._inspect_file(run, item.file, inspected=inspected), item.sources)

    def _with_sources(self, finding: FileFinding, sources: Sequence[tuple[str, str]]) -> FileFinding:
        """Add the uploads that its parts come from; refuse a file without the event times that the dataset needs."""
        needs_time = self.spec.split.by == "time" or getattr(self.spec.dataset, "days", None) is not None
        if needs_time and any(not part.times for part in finding.parts):
            refusal = "no row has an event time, and model.yaml splits or cuts the dataset by it"
            return replace(finding, parts=(), refusal=refusal)
        return replace(finding, parts=tuple(part.with_sources(sources) for part in finding.parts))

    def _inspect_file(self, run: str, upload: Upload, *, inspected: bool) -> FileFinding:
        inspection = Inspection(contract=self.contract, lake=self.lake, store=self.store)
        if inspected:
            try:
                return FileFinding.read(self.store.json(inspection.finding_key(run, upload)))
            except NoObjectError:  # the contract was changed meanwhile, and with it the files to inspect
                pass
        return inspection.inspect(run, upload)

    def _list_members(self, run: str, upload: Upload) -> list[Upload]:
        """List the objects of an upload, each by its version.

        A folder is listed once for a run, so that a repeated step reads what the first one read.
        """
        if upload.folder is None:
            return [upload]
        name = self.lake.listing(run, sha256(upload.name.encode())[:12])
        try:
            members = self.store.json(name)
        except NoObjectError:
            versions = self.store.versions(upload.folder)
            members = [asdict(item) for item in versions if holds_rows(item.key.removeprefix(upload.folder))]
            self.store.write_json(name, members)
        return [replace(upload, **item) for item in members]

    def _ingest_features(self, dataset: Dataset | None) -> None:
        """Bring the feature store up to the dataset version; a repeated step goes on where the first one ended."""
        if self.features is not None and dataset is not None:
            self.features.ingest(dataset)

    def _settle(self, run: str, upload: Upload, findings: list[FileFinding], dataset: Dataset | None, at: str) -> None:
        """Record an upload's dataset version or quarantine; one that newer uploads replaced gets its own version."""
        parts = [part for item in findings for part in item.parts]
        if dataset is None or not parts:
            self.ledger.settle_upload(upload, "quarantined", run=run, dataset=None)
            return
        version = dataset.version
        own = None if dataset.has_upload(upload.place) else self._next(None, parts)
        if own is not None and own.version != version:
            self._write(own, run, at, current=False)
            version = own.version
        self.ledger.settle_upload(upload, "dataset", run=run, dataset=version)

    def _current_dataset(self) -> Dataset | None:
        version = self.ledger.current_dataset()
        if version is None:
            return None
        return read_dataset(self.store, self.lake, self.ledger.dataset(version))

    def _next(self, before: Dataset | None, parts: list[Part]) -> Dataset | None:
        if before is None and not parts:
            return None
        start = before or Dataset(model=self.spec.name, contract=self.contract.digest, parts=())
        return start.with_parts(parts, contract=self.contract.digest, mode=self.spec.dataset, split=self.spec.split)

    def _outcome(self, run: str, findings: list[FileFinding], dataset: Dataset | None) -> Record:
        version = dataset.version if dataset else None
        nothing: Record = {"dataset": version, "job": None}
        refused = [item for item in findings if item.refusal]
        if findings and len(refused) == len(findings):
            reason = _refusals(refused)
            more = f"; and {len(refused) - 5} more files" if len(refused) > 5 else ""
            return nothing | {"outcome": "quarantined", "reason": reason + more}
        if dataset is None or version is None:
            return nothing | {"outcome": "skipped", "reason": "there is no data yet: upload some first"}
        inputs = self._inputs(dataset)
        comparison = compare_inputs(inputs, self.ledger.runs(), but=run, code_parts=self.code_parts)
        # The digests show whether something differs; the values show what.
        parameters = self.spec.model_dump(mode="json", exclude={"description"})
        about: Record = {"inputs": inputs, "compared": comparison, "parameters": parameters, "image": self.image}
        about |= {CODE_PARTS: dict(self.code_parts)} if self.code_parts else {}
        if (earlier := self.ledger.find_trained(version, self.code)) and self._has_same_image(earlier, inputs):
            reason = f"same data, code and parameters as run {earlier}: nothing would come out differently"
            same = equal_inputs(earlier)
            return nothing | {"outcome": "skipped", "reason": reason, "same_as": earlier} | about | {"compared": same}
        reason = f"dataset {version[:12]} of {dataset.rows} rows in {len(dataset.parts)} parts"
        return {
            "outcome": "train",
            "reason": reason,
            "dataset": version,
            "job": self._job_input(run).write_training(dataset),
        } | about

    def _inputs(self, dataset: Dataset) -> Inputs:
        """Return the digest of each input that decides what a run produces."""
        return {
            "data": dataset.data,
            "code": self.sources or self.code,
            "parameters": sha256(self.spec.training_fields().encode()),
            "image": self.base or sha256(self.image.encode()),
            "contract": dataset.contract,
        }

    def _has_same_image(self, run: str, inputs: Inputs) -> bool:
        """Return whether the run that trained this code on this data used the present image."""
        earlier = self.ledger.run(run)["steps"].get("validate", {}).get("inputs", {})
        return bool(earlier.get("image", inputs["image"]) == inputs["image"])

    def _job_input(self, run: str) -> JobInput:
        return JobInput(
            run=run, stage=self.stage, lake=self.lake, store=self.store, ledger=self.ledger, archive=self.archive
        )

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
    refusals = _refusals([finding for _, finding in renewed])
    reason = f"the changed contract leaves no row of what was uploaded before: {refusals}"
    return {"outcome": "quarantined", "reason": reason, "dataset": None, "job": None}


def _refusals(findings: Sequence[FileFinding]) -> str:
    """Return the reasons of the first refusals."""
    return "; ".join(f"{item.upload.key}: {shorten(item.refusal or '', REFUSAL_LIMIT)}" for item in findings[:5])


def _shorten_report(report: list[Record]) -> list[Record]:
    """Return as many findings as a record can hold, those of refused files first."""
    items, size = [], 0
    for item in sorted(report, key=lambda item: item["refusal"] is None):
        size += len(json.dumps(item))
        if size > FINDINGS_LIMIT:
            break
        items.append(item)
    return items
