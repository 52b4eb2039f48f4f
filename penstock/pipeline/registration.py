"""Registration: judge a training job's artifact by the gates; what passes becomes a version that waits for approval."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from penstock.archive import ArchiveError, unpack
from penstock.aws.ecr import find_image_digest
from penstock.aws.model_registry import Package, Registry
from penstock.aws.s3_store import Store, sha256
from penstock.contract.model import Contract
from penstock.evaluation import gates, tuning_record
from penstock.lake import MODEL_FILE, Lake, split_uri
from penstock.ledger.ledger import Ledger, Record
from penstock.pipeline.mlflow_tracking import SECONDS, Tracking
from penstock.pipeline.run_artifacts import RunArtifacts
from penstock.spec.model import ModelSpec

FILES = {
    MODEL_FILE: 250_000_000,
    "evaluation.json": 10_000_000,
    "baseline.json": 10_000_000,
    "golden.json": 10_000_000,
    "report.json": 10_000_000,
    "report-data.json": 10_000_000,
}
"""The files of a model, and how large each may be, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Judges and registers the runs of one model."""

    stage: str
    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    registry: Registry
    patience: float = SECONDS
    """Seconds to wait for an MLflow server, before registration and again behind it."""

    def run(self, run: str, dataset: str, artifact: str, image: str, at: str, search: Record | None = None) -> Record:
        """Judge and, if the gates pass, register: `rejected` or `registered`.

        Args:
            run: the run.
            dataset: its dataset version.
            artifact: S3 URI of the model, of a search its best trial's.
            image: in which it was trained.
            at: now.
            search: the state machine's record of the search for params, where there was one.
        """
        files = unpack(self.store.read(split_uri(artifact)[1]), FILES)
        artifacts = self._judge(run, dataset, artifact, image, files)
        if search is not None:
            self.ledger.note_step(run, "tuning", at, **tuning_record.tuning_step(search, artifacts.training))
        self._note_gates(artifacts, at)
        tracking = self._tracking(run, at)
        properties = tracking.start(lambda: artifacts.mlflow_run(self.stage))
        url = tracking.mlflow_run.get("url", "")
        result: Record = {"outcome": "rejected", "reason": artifacts.decision.reason, "version": None}
        image_digest = artifacts.image_digest
        if artifacts.decision.passed:
            package = self._register(artifacts, files, at, properties, url)
            image_digest = image_digest or package.image_digest
            reason = f"version {package.version}: {artifacts.decision.reason}"
            result = {"outcome": "registered", "reason": reason, "version": package.version}
        page = artifacts.write_report(at, result, {"image digest": image_digest, "MLflow": url})
        self.ledger.note_trained(dataset, artifacts.code, run)
        tracking.finish(
            {"outcome": result["outcome"], "version": str(result["version"] or ""), "image_digest": image_digest},
            {
                "evaluation.json": files["evaluation.json"].decode(),
                "report.html": page,
                "model-card.json": artifacts.card(),
            },
        )
        return result

    def _judge(self, run: str, dataset: str, artifact: str, image: str, files: dict[str, bytes]) -> RunArtifacts:
        evaluation = _read_evaluation(files["evaluation.json"])
        return RunArtifacts(
            spec=self.spec,
            contract=self.contract,
            lake=self.lake,
            store=self.store,
            ledger=self.ledger,
            run=run,
            dataset=dataset,
            artifact=artifact,
            image=image,
            image_digest=find_image_digest(image),
            # A deployment may have come in between: what was trained is what validate asked for.
            code=str(self.ledger.run(run)["steps"]["validate"]["code"]),
            digest=sha256(files[MODEL_FILE]),
            data=_read_document("report-data.json", files),
            training=_read_document("report.json", files),
            evaluation=evaluation,
            decision=gates.decide(
                self.spec.gates,
                evaluation["challenger"],
                baseline=evaluation["baseline"],
                champion=evaluation["champion"],
                evaluation=evaluation,
            ),
        )

    def _note_gates(self, artifacts: RunArtifacts, at: str) -> None:
        """Note the verdicts and the numbers behind them in the run's record."""
        # What has a row for each slice, group or class is in the model's evaluation.json; a ledger's item has 400 KB.
        long = {"slices", "disparities", "per_class"}
        evaluation = {name: value for name, value in artifacts.evaluation.items() if name not in long}
        verdicts = [asdict(verdict) for verdict in artifacts.decision.verdicts]
        passed = artifacts.decision.passed
        self.ledger.note_step(artifacts.run, "gates", at, passed=passed, verdicts=verdicts, evaluation=evaluation)

    def _tracking(self, run: str, at: str) -> Tracking:
        experiments = self.spec.experiments
        name = (experiments and experiments.name) or self.spec.name
        return Tracking(experiments, name, self.ledger, run, at, self.patience)

    def _register(
        self, artifacts: RunArtifacts, files: dict[str, bytes], at: str, properties: dict[str, str], url: str
    ) -> Package:
        """Write the model's files and register the version.

        Args:
            artifacts: of the run.
            files: of the model, by name.
            at: now.
            properties: of MLflow's run, for the registry.
            url: where a person finds MLflow's run; empty where there is none.
        """
        run, digest = artifacts.run, artifacts.digest
        versions = {
            name: self.store.write_once(self.lake.model_file(digest, name), data) for name, data in files.items()
        }
        package = self.registry.register(
            run=run,
            since=datetime.fromisoformat(self.ledger.run(run)["opened"]),
            description=f"run {run} on dataset {artifacts.dataset[:12]}: {artifacts.decision.reason}",
            image=artifacts.image,
            artifact=artifacts.artifact,
            card=artifacts.card(),
            metrics=self.lake.uri(self.lake.model_file(digest, "evaluation.json")),
            baseline=self.lake.uri(self.lake.model_file(digest, "baseline.json")),
            properties={
                "run": run,
                "dataset": artifacts.dataset,
                "code": artifacts.code,
                "sha256": digest,
                "model": self.lake.uri(self.lake.model_file(digest, MODEL_FILE)),
                "model_version_id": versions[MODEL_FILE],
                "image": artifacts.image,
                **({"image_digest": artifacts.image_digest} if artifacts.image_digest else {}),
                **properties,
            },
        )
        self.ledger.put_version(
            package.version,
            arn=package.arn,
            run=run,
            dataset=artifacts.dataset,
            sha256=digest,
            model_version_id=versions[MODEL_FILE],
            code=artifacts.code,
            registered=at,
            metrics=artifacts.evaluation["challenger"],
            image_digest=artifacts.image_digest or package.image_digest,
            mlflow=url,
        )
        self.ledger.note_step(run, "register", at, version=package.version, arn=package.arn, sha256=digest)
        return package


def _read_evaluation(data: bytes) -> Any:
    try:
        evaluation = json.loads(data)
        missing = [name for name in ("challenger", "baseline", "champion") if name not in evaluation]
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"evaluation.json is not what the training job writes: {error}") from None
    if missing:
        raise ArchiveError(f"evaluation.json lacks {', '.join(missing)}")
    return evaluation


def _read_document(name: str, files: dict[str, bytes]) -> Any:
    try:
        document = json.loads(files[name])
    except ValueError as error:
        raise ArchiveError(f"{name} is not what the training job writes: {error}") from None
    if not isinstance(document, dict):
        raise ArchiveError(f"{name} is not what the training job writes: it is no JSON object")
    return document
