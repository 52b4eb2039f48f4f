"""A copy of this project with small models, and its `penstock` command."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.local.host.cloud import LaptopCloud
from tests.local.stage.command_server import run_command
from tests.support.specs import replace_serving

ROOT = Path(__file__).parents[3]
FILES = ["cdk.json", "pyproject.toml", "uv.lock", "package.json", "README.md"]
FOLDERS = ["penstock", "infra", "functions", "training"]
RAISES = '''"""A training function with a bug."""


def fit(train, validation, params):
    raise ValueError("the spline needs at least four knots")
'''
SLOW = '''"""A training function that takes its time."""

import time


def fit(train, validation, params):
    print("fitting for a while", flush=True)
    time.sleep(120)
'''
PICKY = """    if (params["leaves"], params["learning_rate"]) == (7, 0.01):
        raise ValueError("seven leaves learn too little at this rate")
"""
ENDPOINT = "serving: {target: endpoint, endpoint: {instances: {max: 2}}}\n"
GRID = """tuning:
  metric: log_loss
  strategy: grid
  max_jobs: 4
  max_parallel_jobs: 2
  ranges:
    leaves: {values: [7, 31]}
    learning_rate: {values: [0.01, 0.1]}
"""


@dataclass(frozen=True)
class Project:
    """The copy's folder and the port of its laptop cloud."""

    root: Path
    port: int

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command in the project's folder, as a user does."""
        environment = os.environ | {"PENSTOCK_PORT": str(self.port), "COLUMNS": "200"}
        if arguments[0] in {"up", "down"}:
            command = [str(Path(sys.executable).with_name("penstock")), *arguments]
            completed = subprocess.run(
                command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=1200, check=False
            )
        else:
            completed = run_command(self.root, environment, ["penstock", *arguments])
        if check and completed.returncode != 0:
            raise AssertionError(
                f"penstock {' '.join(arguments)}: exit {completed.returncode}\n{completed.stdout}\n{completed.stderr}"
            )
        return completed

    @property
    def model_folder(self) -> Path:
        """The folder of the demo's model."""
        return self.root / "training" / "models" / "flight-delay"

    def cloud(self) -> LaptopCloud:
        """Return its laptop cloud."""
        return LaptopCloud(self.root / ".penstock", self.port)

    def json(self, *arguments: str, check: bool = True) -> Any:
        """Run a command with `--json` and return the document."""
        completed = self.run(*arguments, "--json", check=check)
        assert completed.stdout, completed.stderr
        return json.loads(completed.stdout)


def copy_project(root: Path, port: int) -> Project:
    """Copy the project with the models `flight-delay`, `large`, `raises`, `rejects` and `slow`."""
    _copy(root)
    _model(root, "raises", code=RAISES)
    _model(root, "slow", code=SLOW)
    _model(root, "large", more="validation: {job_above_mb: 0}")
    _model(root, "rejects", gates="gates: [{metric: roc_auc, min: 0.999}]")
    _model(
        root,
        "flight-delay",
        gates="gates: [{metric: roc_auc, min: 0.8}, {metric: roc_auc, against: baseline, by: 0.1}]",
    )
    make_key_personal(root / "training" / "models" / "flight-delay" / "contract.yaml")
    return Project(root, port)


def copy_tuned(root: Path, port: int) -> Project:
    """Copy the project with three tuned models and no other: `hopeless`, `slow` and `tuned`."""
    _copy(root)
    shutil.rmtree(root / "training" / "models" / "flight-delay")
    few = "tuning: {max_jobs: 2, ranges: {leaves: {min: 7, max: 31, integer: true}}}"
    gates = "gates: [{metric: roc_auc, min: 0.7}, {metric: roc_auc, against: baseline, by: 0.1}]"
    _model(root, "hopeless", code=RAISES, more=few)
    _model(root, "slow", code=SLOW, more=few)
    real = (ROOT / "training" / "models" / "flight-delay" / "train.py").read_text()
    _model(root, "tuned", code=real.replace("    del validation", f"{PICKY}    del validation"), gates=gates, more=GRID)
    for path in (root / "training" / "models").glob("*/model.yaml"):
        remaining = [
            line for line in path.read_text().splitlines() if line not in {"    leaves: 31", "    learning_rate: 0.1"}
        ]
        path.write_text("\n".join(remaining) + "\n")
    return Project(root, port)


def copy_rolled_out(root: Path, port: int) -> Project:
    """Copy the project with `flight-delay` alone, small and quick, and a closely watched rollout."""
    _copy(root)
    gates = "gates: [{metric: roc_auc, min: 0.6}]"
    # On the laptop a minute takes 0.4 seconds; a busy one needs time for enough answers to compare.
    watched = (
        "{weights: [10], bake_minutes: 120, max_latency_ms: 4000, min_rows: 30, keep_versions: 3, on_new_code: wait}"
    )
    _model(root, "flight-delay", gates=gates, more=f"rollout: {watched}")
    return Project(root, port)


def copy_endpoint(root: Path, port: int) -> Project:
    """Copy the same project, served by a SageMaker endpoint."""
    project = copy_rolled_out(root, port)
    path = root / "training" / "models" / "flight-delay" / "model.yaml"
    replace_serving(path, ENDPOINT)
    return project


def _copy(root: Path) -> None:
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    (root / "node_modules").symlink_to(ROOT / "node_modules")


def make_key_personal(contract: Path) -> None:
    """Mark the row key as personal: captures then hold a keyed hash of it, and labels still find their rows."""
    text = contract.read_text()
    contract.write_text(text.replace("- name: flight_id\n", "- name: flight_id\n        classification: personal\n"))


def _model(root: Path, name: str, *, code: str | None = None, gates: str | None = None, more: str = "") -> None:
    """Write a model like flight-delay, small and quick, with other code, gates or more of a specification."""
    models = Path("training") / "models"
    real, folder = ROOT / models / "flight-delay", root / models / name
    shutil.copytree(real, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    lines = (real / "model.yaml").read_text().splitlines()
    start = lines.index("gates:")
    end = next(i for i in range(start + 1, len(lines)) if lines[i] and not lines[i].startswith(" "))
    remaining = lines[:start] + ([gates] if gates else lines[start:end]) + lines[end:]
    text = "\n".join(remaining).replace("name: flight-delay", f"name: {name}").replace("trees: 150", "trees: 20")
    (folder / "model.yaml").write_text(text.replace("min_rows: 500", "min_rows: 200") + f"\n{more}\n")
    if code:
        (folder / "train.py").write_text(code)
