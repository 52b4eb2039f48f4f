"""Artifacts of a judged run: the report that people read, the registry's model card, and the run as MLflow logs it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from penstock.aws.s3_store import Store
from penstock.contract.model import Contract
from penstock.evaluation.gates import Decision
from penstock.lake import MODEL_FILE, Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record
from penstock.pipeline.mlflow_run import MlflowRun, convert_metrics, convert_parameters, decision_tags
from penstock.report.model_card import card
from penstock.report.page import Report, render
from penstock.spec.model import ModelSpec

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class RunArtifacts:
    """A run whose gates have decided, with everything that its artifacts show."""

    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    run: str
    dataset: str
    artifact: str
    image: str
    image_digest: str
    """`sha256:…` of the training image; empty where only the registry resolves it."""
    code: str
    digest: str
    """SHA-256 (hex) of the model file."""
    data: Any
    """`report-data.json`."""
    training: Any
    """`report.json`."""
    evaluation: Any
    decision: Decision

    @property
    def parameters(self) -> Any:
        """The params that the model was fitted with: of a search, the best trial's."""
        return self.training.get("params", self.spec.training.params)

    def card(self) -> str:
        """The model card's content."""
        return card(
            creator=f"Penstock, run {self.run}",
            description=self.spec.description or self.spec.name,
            artifact=self.artifact,
            image=self.image,
            dataset=self.lake.uri(self.lake.version(self.dataset)),
            parameters=self.parameters,
            reason=self.decision.reason,
            evaluation=self.evaluation,
            details=self._digests(),
        )

    def write_report(self, at: str, result: Record, more: Mapping[str, str]) -> str:
        """Write the report, note in the run's record where it is, and return its text.

        Args:
            at: now.
            result: the step's: `outcome`, `reason`, `version`.
            more: what else identifies the run, by name.
        """
        version = result["version"]
        key = self.lake.run_report(self.run) if version is None else self.lake.model_file(self.digest, "report.html")
        page = render(
            Report(
                model=self.spec.name,
                description=self.spec.description,
                target=self.contract.target.name,
                outcome=result["outcome"],
                reason=result["reason"],
                version=version,
                verdicts=[asdict(verdict) for verdict in self.decision.verdicts],
                evaluation=self.evaluation,
                data=self.data,
                training=self.training,
                run=self.ledger.run(self.run),
                dataset=self._dataset_record(),
                digests=self._digests() | dict(more),
                at=at,
            )
        )
        version_id = self.store.write(key, page.encode(), HTML)
        self.ledger.note_step(self.run, "report", at, key=key, version_id=version_id)
        return page

    def mlflow_run(self, stage: str) -> MlflowRun:
        """The run as MLflow logs it."""
        about = {"stage": stage, "model": self.spec.name, "run": self.run, "dataset": self.dataset}
        about |= {"code": self.code, "sha256": self.digest, "artifact": self.artifact, "image": self.image}
        if self.decision.passed:
            about["onnx"] = self.lake.uri(self.lake.model_file(self.digest, MODEL_FILE))
        return MlflowRun(
            run=self.run,
            started=round(datetime.fromisoformat(self.ledger.run(self.run)["opened"]).timestamp() * 1000),
            parameters=convert_parameters(self.parameters),
            metrics=convert_metrics(self.evaluation),
            tags=decision_tags(self.decision, about),
        )

    def _digests(self) -> dict[str, str]:
        return {
            "run": self.run,
            "dataset version": self.dataset,
            "code": self.code,
            "model SHA-256": self.digest,
            "training image": self.image,
            "artifact": self.artifact,
            **({"image digest": self.image_digest} if self.image_digest else {}),
        }

    def _dataset_record(self) -> Record:
        try:
            return self.ledger.dataset(self.dataset)
        except NoRecordError:  # forgotten meanwhile
            return {}
