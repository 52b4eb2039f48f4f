"""A training job's artifact judged by the gates; what passes becomes a model package that waits for approval."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from functions.register.papers import Papers
from penstock import gates
from penstock.archive import ArchiveError, unpack
from penstock.contract import Contract
from penstock.lake import Lake, split_uri
from penstock.ledger import Ledger, Record
from penstock.registry import Registry
from penstock.spec import ModelSpec
from penstock.store import Store, sha256

FILES = {
    "model.onnx": 250_000_000,
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

    spec: ModelSpec
    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    registry: Registry

    def run(self, run: str, dataset: str, artifact: str, image: str, at: str) -> Record:
        """Judge and, if the gates pass, register: `rejected` or `registered`."""
        # A deployment may have come in between: what was trained is what validate asked for.
        code = str(self.ledger.run(run)["steps"]["validate"]["code"])
        files = unpack(self.store.read(split_uri(artifact)[1]), FILES)
        evaluation = _evaluation(files["evaluation.json"])
        decision = gates.decide(
            self.spec.gates,
            evaluation["challenger"],
            baseline=evaluation["baseline"],
            champion=evaluation["champion"],
            evaluation=evaluation,
        )
        verdicts = [asdict(verdict) for verdict in decision.verdicts]
        # What has a row for each slice, group or class is in the model's evaluation.json; a ledger's item has 400 KB.
        noted = {
            name: found for name, found in evaluation.items() if name not in {"slices", "disparities", "per_class"}
        }
        self.ledger.note_step(run, "gates", at, passed=decision.passed, verdicts=verdicts, evaluation=noted)
        papers = Papers(
            spec=self.spec,
            contract=self.contract,
            lake=self.lake,
            store=self.store,
            ledger=self.ledger,
            run=run,
            dataset=dataset,
            artifact=artifact,
            image=image,
            code=code,
            digest=sha256(files["model.onnx"]),
            data=_document("report-data.json", files),
            training=_document("report.json", files),
            evaluation=evaluation,
            decision=decision,
        )
        result: Record = {"outcome": "rejected", "reason": decision.reason, "version": None}
        if decision.passed:
            version = self._register(run, dataset, papers, files, at, evaluation, decision.reason, code)
            reason = f"version {version}: {decision.reason}"
            result = {"outcome": "registered", "reason": reason, "version": version}
        papers.report(at, result)
        self.ledger.note_trained(dataset, code, run)
        return result

    def _register(
        self,
        run: str,
        dataset: str,
        papers: Papers,
        files: dict[str, bytes],
        at: str,
        evaluation: Any,
        reason: str,
        code: str,
    ) -> int:
        digest = sha256(files["model.onnx"])
        versions = {
            name: self.store.write_once(self.lake.model_file(digest, name), data) for name, data in files.items()
        }
        model_version = versions["model.onnx"]
        package = self.registry.register(
            run=run,
            since=datetime.fromisoformat(self.ledger.run(run)["opened"]),
            description=f"run {run} on dataset {dataset[:12]}: {reason}",
            image=papers.image,
            artifact=papers.artifact,
            card=papers.card(),
            metrics=self.lake.uri(self.lake.model_file(digest, "evaluation.json")),
            baseline=self.lake.uri(self.lake.model_file(digest, "baseline.json")),
            properties={
                "run": run,
                "dataset": dataset,
                "code": code,
                "sha256": digest,
                "model": self.lake.uri(self.lake.model_file(digest, "model.onnx")),
                "model_version_id": model_version,
                "image": papers.image,
            },
        )
        self.ledger.put_version(
            package.version,
            arn=package.arn,
            run=run,
            dataset=dataset,
            sha256=digest,
            model_version_id=model_version,
            code=code,
            registered=at,
            metrics=evaluation["challenger"],
        )
        self.ledger.note_step(run, "register", at, version=package.version, arn=package.arn, sha256=digest)
        return package.version


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
