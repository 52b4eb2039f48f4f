"""Training again only for other data or code, on the laptop cloud: each edit is deployed, then a run is asked for.

The tests follow one model, so their order matters: a run is compared with the last one that trained.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import flights
from tests.local.conftest import free_port
from tests.local.stage.deployed import MODEL
from tests.local.stage.project import Project, copy_rolled_out

NEIGHBOUR = "neighbour"
ROWS = 1500


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two models, of which the first has been trained once."""
    copy = copy_rolled_out(tmp_path_factory.mktemp("project"), free_port())
    models = copy.root / "training" / "models"
    shutil.copytree(models / MODEL, models / NEIGHBOUR)
    replace(models / NEIGHBOUR / "model.yaml", f"name: {MODEL}", f"name: {NEIGHBOUR}")
    replace(models / MODEL / "model.yaml", "trees: 20", "trees: 5")
    rows = tmp_path_factory.mktemp("data") / "january.csv"
    flights.flights([1]).head(ROWS).write_csv(rows)
    copy.run("up")
    copy.run("push", str(rows), "--model", MODEL, "--wait")
    yield copy
    copy.run("down")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} lacks {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def run_after_deployment(project: Project) -> dict[str, Any]:
    """Deploy, ask for a run on the same data, and wait for its end."""
    project.run("up")
    reply = project.run("retrain", "--model", MODEL, "--reason", "a test").stdout
    match = re.search(r"\b[0-9a-f]{12}\b", reply)
    assert match, reply
    project.run("run", match.group(), "--model", MODEL)
    record: dict[str, Any] = project.json("run", match.group(), "--model", MODEL)
    return record


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("penstock/report/page.py", "# The report's page."),
        ("penstock/cli/commands/runs.py", "# The command."),
        (f"training/models/{NEIGHBOUR}/train.py", "# Another model."),
        ("README.md", "<!-- a comment -->"),
        ("functions/predict/handler.py", "# What answers requests."),
    ],
    ids=["report", "cli", "another-model", "readme", "predict"],
)
def test_an_edit_of_anything_else_is_skipped(project: Project, path: str, line: str) -> None:
    # Given a model that was trained
    (first,) = [run for run in project.json("runs", "--model", MODEL) if run["outcome"] != "skipped"]
    assert first["outcome"] == "registered", first["reason"]
    # When something that its training does not use is changed and deployed
    append(project.root / path, line)
    record = run_after_deployment(project)
    # Then a run trains nothing, and says which run it equals
    assert record["outcome"] == "skipped"
    assert record["reason"] == (
        f"same data, code and parameters as run {first['id']}: nothing would come out differently"
    )


def edit_train(root: Path) -> None:
    replace(root / "training" / "models" / MODEL / "train.py", "random_state=0", "random_state=1")


def edit_export(root: Path) -> None:
    append(root / "training" / "steps" / "export" / "onnx_export.py", "# How models are exported.")


def lock_scikit_learn(root: Path) -> None:
    """Lock another version; the laptop's jobs run in the host's environment, so that only the digest sees it."""
    lock = root / "uv.lock"
    match = re.search(r'name = "scikit-learn"\nversion = "([^"]+)"', lock.read_text(encoding="utf-8"))
    assert match
    replace(lock, match.group(), match.group().replace(match.group(1), "99.0.1"))


@pytest.mark.parametrize(
    ("edit", "part"),
    [(edit_train, "model code"), (edit_export, "training code"), (lock_scikit_learn, "package versions")],
    ids=["train.py", "export", "scikit-learn"],
)
def test_an_edit_of_what_trains_is_trained_and_named(project: Project, edit: Any, part: str) -> None:
    # Given the last run that trained
    last = next(run for run in project.json("runs", "--model", MODEL) if run["outcome"] == "registered")
    # When what its training uses is changed and deployed
    edit(project.root)
    record = run_after_deployment(project)
    # Then the model is trained on the same data, and the run says what differs
    assert record["outcome"] == "registered", record["reason"]
    assert record["steps"]["validate"]["compared"]["sentence"] == f"other {part} than run {last['id']}"
    assert f"other {part} than run" in project.run("runs", "--model", MODEL).stdout
