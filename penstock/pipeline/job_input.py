"""The input of a run's jobs in the lake: the files to inspect, and what the training job needs."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from penstock.aws.s3_store import NoObjectError, Store
from penstock.datasets.version import Dataset
from penstock.lake import MODEL_FILE, Lake, split_uri
from penstock.ledger.ledger import Ledger, Record, Upload
from penstock.pipeline.inspection import FILES
from penstock.spec.model import ARCHIVE


@dataclass(frozen=True, kw_only=True)
class JobInput:
    """Writes the input of the jobs of one run."""

    run: str
    stage: str
    lake: Lake
    store: Store
    ledger: Ledger
    archive: str
    """S3 URI of the zip file of the model's folder; empty for none."""

    def write_files(self, files: Sequence[Upload]) -> Record:
        """Write the list of files for a processing job to inspect; return the job's input."""
        self.store.write_json(self.lake.run_input(self.run, FILES), [asdict(file) for file in files])
        self._copy_code()
        return {"name": f"{self._name}-check"}

    def write_training(self, dataset: Dataset) -> Record:
        """Write the training job's request, with the champion's files beside it; return the job's input."""
        live = self.ledger.live()
        champion = {"version": live["version"], "sha256": live["sha256"]} if live else None
        if live:
            model = self.store.read(self.lake.model_file(live["sha256"], MODEL_FILE))
            self.store.write(self.lake.run_input(self.run, "champion.onnx"), model)
            self._copy_baseline(live["sha256"])
        self._copy_code()
        request = {
            "model": self.lake.model,
            "run": self.run,
            "dataset": dataset.version,
            "parts": [part.sha256 for part in dataset.parts],
            "champion": champion,
        } | ({"cut": dataset.cut} if dataset.cut else {})
        self.store.write_json(self.lake.run_input(self.run, "request.json"), request)
        return {
            "name": self._name,
            "dataset": self.lake.uri(self.lake.manifest(dataset.version)),
            "input": self.lake.uri(self.lake.run_input(self.run)),
            "output": self.lake.uri(self.lake.run_output(self.run)),
        }

    @property
    def _name(self) -> str:
        return f"{self.stage}-{self.lake.model}-{self.run}"

    def _copy_code(self) -> None:
        """Copy the model's folder to the run: its jobs then work with the code whose digest it records.

        A deployment while the run waits for capacity or searches for params changes neither.
        """
        if self.archive:
            bucket, key = split_uri(self.archive)
            self.store.write(self.lake.run_input(self.run, ARCHIVE), Store(bucket).read(key), "application/zip")

    def _copy_baseline(self, sha256: str) -> None:
        """Copy the champion's baseline, for the report's drift, which the job can do without."""
        with contextlib.suppress(NoObjectError):
            baseline = self.store.read(self.lake.model_file(sha256, "baseline.json"))
            self.store.write(self.lake.run_input(self.run, "champion-baseline.json"), baseline)
