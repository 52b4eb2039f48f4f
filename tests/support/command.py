"""The command `penstock` in tests: what a call prints, and a registered version for it to work on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.aws.model_registry import Package, Registry
from penstock.ledger.ledger import Run, Upload
from tests.support.world import BUCKET, MODEL, World

URL = "https://abc.execute-api.us-east-1.amazonaws.com/predict"


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., CommandResult]
"""Runs `penstock` with arguments."""
Stack = Callable[[str, dict[str, str]], None]
"""Deploys a stack with its outputs."""


def register_package(world: World, run: str = "run1") -> Package:
    """Register a model package of a run in the world's registry."""
    return Registry(world.group).register(
        run=run,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        description="d",
        image="i",
        artifact="s3://b/a",
        metrics="s3://b/m",
        baseline="s3://b/d",
        properties={"run": run},
    )


def register_version(world: World, version: int = 1) -> str:
    """Record a finished run that registered a version; return the ARN of its model package."""
    ledger = world.ledger
    upload = Upload(f"raw/{MODEL}/a{version}.csv", "v1", "e", 1, "2026-01-01T00:00:00.000+00:00")
    ledger.record_upload(upload)
    run = f"run{version}"
    ledger.open_run(Run(run, "upload", f"upload of a{version}.csv", (upload,), "2026-01-01T00:00:00.000+00:00"))
    ledger.note_step(run, "gates", "t", verdicts=[{"passed": True, "sentence": "roc_auc 0.9 ≥ 0.8"}])
    part = {"sha256": "p" * 64, "rows": 10, "size": 5, "uploads": [f"s3://{BUCKET}/{upload.key}?versionId=v1"]}
    ledger.put_dataset("d" * 64, rows=10, parts=[part], contract="c" * 64)
    package = register_package(world, run)
    ledger.put_version(
        package.version, arn=package.arn, run=run, dataset="d" * 64, sha256="s" * 64, code="c" * 64,
        registered="2026-01-01T00:00:00.000+00:00", metrics={"roc_auc": 0.9},
    )  # fmt: skip
    ledger.end_run(run, "registered", f"version {package.version}: all gates passed", "2026-01-01T00:01:00.000+00:00")
    return package.arn
