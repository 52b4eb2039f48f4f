"""A training job's artifact judged by the gates; what passes becomes a model package that waits for approval."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from functions.register.artifacts import Papers
from functions.register.mlflow_tracking import SECONDS, Tracking
from penstock.archive import ArchiveError, unpack
from penstock.aws.ecr import image_digest
from penstock.aws.model_registry import Package, Registry
from penstock.aws.s3_store import Store, sha256
from penstock.contract.model import Contract
from penstock.evaluation import gates
from penstock.evaluation import tuning_record as tuning
from penstock.lake import MODEL_FILE, Lake, split_uri
from penstock.ledger.ledger import Ledger, Record
from penstock.spec.model import ModelSpec

FILES = {
    MODEL_FILE: 250_000_000,
    "evaluation.json": 10_000_000,
    "baseline.json": 10_000_000,
    "golden.json": 10_000_000,
    "report.json": 10_000_000,
    "report-data.json": 10_000_000,
}
"""What a model consists of, and how large each file may be, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The step, with everything it works on."""

    stage: str
    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    registry: Registry
    patience: float = SECONDS
    """Seconds that an MLflow server is waited for, before registration and again behind it."""

    def run(self, run: str, dataset: str, artifact: str, image: str, at: str, searched: Record | None = None) -> Record:
        """Judge and, if the gates pass, register: `rejected` or `registered`.

        Args:
            run: the run.
            dataset: its dataset version.
            artifact: S3 URI of the model, of a search its best trial's.
            image: that it was trained in.
            at: now.
            searched: what the state machine knows of the search, where there was one.
        """
        files = unpack(self.store.read(split_uri(artifact)[1]), FILES)
        papers = self._judged(run, dataset, artifact, image, files)
        if searched is not None:
            self.ledger.note_step(run, "tuning", at, **tuning.noted(searched, papers.training))
        self._note(papers, at)
        tracking = self._tracking(run, at)
        told = tracking.start(lambda: papers.logged(self.stage))
        result: Record = {"outcome": "rejected", "reason": papers.decision.reason, "version": None}
        trained_in = papers.image_digest
        if papers.decision.passed:
            package = self._register(papers, files, at, told, tracking.found.get("url", ""))
            trained_in = trained_in or package.image_digest
            reason = f"version {package.version}: {papers.decision.reason}"
            result = {"outcome": "registered", "reason": reason, "version": package.version}
        page = papers.report(at, result, {"image digest": trained_in, "MLflow": tracking.found.get("url", "")})
        self.ledger.note_trained(dataset, papers.code, run)
        tracking.finish(
            {"outcome": result["outcome"], "version": str(result["version"] or ""), "image_digest": trained_in},
            {
                "evaluation.json": files["evaluation.json"].decode(),
                "report.html": page,
                "model-card.json": papers.card(),
            },
        )
        return result

    def _judged(self, run: str, dataset: str, artifact: str, image: str, files: dict[str, bytes]) -> Papers:
        evaluation = _evaluation(files["evaluation.json"])
        return Papers(
            spec=self.spec,
            contract=self.contract,
            lake=self.lake,
            store=self.store,
            ledger=self.ledger,
            run=run,
            dataset=dataset,
            artifact=artifact,
            image=image,
            image_digest=image_digest(image),
            # A deployment may have come in between: what was trained is what validate asked for.
            code=str(self.ledger.run(run)["steps"]["validate"]["code"]),
            digest=sha256(files[MODEL_FILE]),
            data=_document("report-data.json", files),
            training=_document("report.json", files),
            evaluation=evaluation,
            decision=gates.decide(
                self.spec.gates,
                evaluation["challenger"],
                baseline=evaluation["baseline"],
                champion=evaluation["champion"],
                evaluation=evaluation,
            ),
        )

    def _note(self, papers: Papers, at: str) -> None:
        """The verdicts and the numbers behind them, in the run's record."""
        # What has a row for each slice, group or class is in the model's evaluation.json; a ledger's item has 400 KB.
        long = {"slices", "disparities", "per_class"}
        noted = {name: found for name, found in papers.evaluation.items() if name not in long}
        verdicts = [asdict(verdict) for verdict in papers.decision.verdicts]
        self.ledger.note_step(
            papers.run, "gates", at, passed=papers.decision.passed, verdicts=verdicts, evaluation=noted
        )

    def _tracking(self, run: str, at: str) -> Tracking:
        given = self.spec.experiments
        return Tracking(given, (given and given.name) or self.spec.name, self.ledger, run, at, self.patience)

    def _register(self, papers: Papers, files: dict[str, bytes], at: str, told: dict[str, str], mlflow: str) -> Package:
        """Keep the model's files and make the version; `told` is what the registry is told of MLflow's run."""
        run, digest = papers.run, papers.digest
        versions = {
            name: self.store.write_once(self.lake.model_file(digest, name), data) for name, data in files.items()
        }
        package = self.registry.register(
            run=run,
            since=datetime.fromisoformat(self.ledger.run(run)["opened"]),
            description=f"run {run} on dataset {papers.dataset[:12]}: {papers.decision.reason}",
            image=papers.image,
            artifact=papers.artifact,
            card=papers.card(),
            metrics=self.lake.uri(self.lake.model_file(digest, "evaluation.json")),
            baseline=self.lake.uri(self.lake.model_file(digest, "baseline.json")),
            properties={
                "run": run,
                "dataset": papers.dataset,
                "code": papers.code,
                "sha256": digest,
                "model": self.lake.uri(self.lake.model_file(digest, MODEL_FILE)),
                "model_version_id": versions[MODEL_FILE],
                "image": papers.image,
                **({"image_digest": papers.image_digest} if papers.image_digest else {}),
                **told,
            },
        )
        self.ledger.put_version(
            package.version,
            arn=package.arn,
            run=run,
            dataset=papers.dataset,
            sha256=digest,
            model_version_id=versions[MODEL_FILE],
            code=papers.code,
            registered=at,
            metrics=papers.evaluation["challenger"],
            image_digest=papers.image_digest or package.image_digest,
            mlflow=mlflow,
        )
        self.ledger.note_step(run, "register", at, version=package.version, arn=package.arn, sha256=digest)
        return package


def _evaluation(data: bytes) -> Any:
    try:
        evaluation = json.loads(data)
        missing = [name for name in ("challenger", "baseline", "champion") if name not in evaluation]
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"evaluation.json is not what the training job writes: {error}") from None
    if missing:
        raise ArchiveError(f"evaluation.json lacks {', '.join(missing)}")
    return evaluation


def _document(name: str, files: dict[str, bytes]) -> Any:
    try:
        found = json.loads(files[name])
    except ValueError as error:
        raise ArchiveError(f"{name} is not what the training job writes: {error}") from None
    if not isinstance(found, dict):
        raise ArchiveError(f"{name} is not what the training job writes: it is no JSON object")
    return found
