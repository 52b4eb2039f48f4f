"""Fixtures that synthesise the app once for each stage, with validation and without."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.bundling import FOLDER, GROUPS, bundle
from infra.stages import PROD
from tests.support.shared_folder import shared_folder

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("local", "dev", "prod")
Json = dict[str, Any]
PARTS = ("infra", "functions", "penstock", "training", "cdk.json", "pyproject.toml", "uv.lock", ".dockerignore")
"""What the app reads of the project."""


@dataclass(frozen=True)
class Synthesis:
    """One run of the app."""

    code: int
    errors: str
    folder: Path

    def texts(self) -> dict[str, str]:
        """Templates as written, by file name."""
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.template.json"))}

    def lake(self) -> Json:
        """The lake stack's template."""
        return self._only("*-lake.template.json")

    def model(self) -> Json:
        """The model stack's template."""
        return self._only("*-model-flight-delay.template.json")

    def templates(self) -> list[Json]:
        return [self.lake(), self.model()]

    def _only(self, pattern: str) -> Json:
        (path,) = self.folder.glob(pattern)
        document: Json = json.loads(path.read_text(encoding="utf-8"))
        return document


def synthesise(
    folder: Path, context: Mapping[str, str], *, root: Path, validation: bool = False, module: str = "infra.app"
) -> Synthesis:
    """Run the app in an empty environment: no credentials, no region, no Docker on the PATH."""
    environment = {
        "PATH": str(folder / "no-programs-here"),
        "HOME": os.environ["HOME"],
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps({**context, "aws:cdk:enable-path-metadata": True}),
        "CDK_VALIDATION": str(validation).lower(),
    }
    command = [sys.executable, "-m", module]
    completed = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return Synthesis(completed.returncode, completed.stderr, folder)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that an edit during the tests makes no difference between two runs.

    Packages come over the network, with whatever this machine needs for that; the app then finds them bundled.
    """

    def fill(root: Path) -> None:
        copy_of_project(root)
        (ROOT / FOLDER).mkdir(exist_ok=True)
        (root / FOLDER).symlink_to(ROOT / FOLDER)
        for function in GROUPS:
            bundle(root, function, "flight-delay", python=PROD.python, vendored=True)

    return shared_folder(tmp_path_factory, "infra-project", fill)


@pytest.fixture(scope="session")
def runs(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Synthesis]:
    """Every stage, with validation and without: the same tree twice."""
    kinds = [(stage, validation) for stage in STAGES for validation in (True, False)]

    def fill(root: Path) -> None:
        def run(kind: tuple[str, bool]) -> None:
            stage, validation = kind
            folder = root / f"{stage}-{validation}"
            folder.mkdir()
            synthesis = synthesise(folder, {"stage": stage}, root=project, validation=validation)
            assert synthesis.code == 0, synthesis.errors
            (root / f"{folder.name}.errors").write_text(synthesis.errors)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run, kinds))

    root = shared_folder(tmp_path_factory, "infra-runs", fill)
    names = {kind: f"{kind[0]}-{kind[1]}" for kind in kinds}
    return {kind: Synthesis(0, (root / f"{name}.errors").read_text(), root / name) for kind, name in names.items()}


@pytest.fixture(scope="session", params=STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    """Each stage's name in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def synthesis(runs: dict[tuple[str, bool], Synthesis], stage: str) -> Synthesis:
    """The stage, synthesised with validation."""
    return runs[stage, True]


@pytest.fixture(scope="session")
def prod(runs: dict[tuple[str, bool], Synthesis]) -> Synthesis:
    return runs["prod", True]


@pytest.fixture(scope="session")
def local(runs: dict[tuple[str, bool], Synthesis]) -> Synthesis:
    return runs["local", True]


def copy_of_project(target: Path, source_root: Path = ROOT) -> Path:
    """Copy what the app reads into a folder that a test may change."""
    for name in PARTS:
        source = source_root / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target / name)
    return target


def resources(template: Json, kind: str) -> dict[str, Json]:
    """A template's resources of a type, by logical id."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}
