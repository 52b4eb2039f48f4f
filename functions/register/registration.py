"""A training job's artifact judged by the gates; what passes becomes a model package that waits for approval."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from penstock import gates
from penstock.archive import ArchiveError, unpack
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
}
"""What a model consists of, and how large each file may be, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The step, with everything it works on."""

    spec: ModelSpec
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
        # What has a row for each slice or group is in the model's evaluation.json; a ledger's item has 400 KB.
        noted = {name: found for name, found in evaluation.items() if name not in {"slices", "disparities"}}
        self.ledger.note_step(run, "gates", at, passed=decision.passed, verdicts=verdicts, evaluation=noted)
        if not decision.passed:
            self.ledger.note_trained(dataset, code, run)
            return {"outcome": "rejected", "reason": decision.reason, "version": None}
        version = self._register(run, dataset, (artifact, image), files, at, evaluation, decision.reason, code)
        self.ledger.note_trained(dataset, code, run)
        return {"outcome": "registered", "reason": f"version {version}: {decision.reason}", "version": version}

    def _register(
        self,
        run: str,
        dataset: str,
        made: tuple[str, str],
        files: dict[str, bytes],
        at: str,
        evaluation: Any,
        reason: str,
        code: str,
    ) -> int:
        artifact, image = made
        digest = sha256(files["model.onnx"])
        for name, data in files.items():
            self.store.write(self.lake.model_file(digest, name), data)
        package = self.registry.register(
            run=run,
            since=datetime.fromisoformat(self.ledger.run(run)["opened"]),
            description=f"run {run} on dataset {dataset[:12]}: {reason}",
            image=image,
            artifact=artifact,
            metrics=self.lake.uri(self.lake.model_file(digest, "evaluation.json")),
            properties={"run": run, "dataset": dataset, "sha256": digest, "code": code},
        )
        self.ledger.put_version(
            package.version,
            arn=package.arn,
            run=run,
            dataset=dataset,
            sha256=digest,
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
