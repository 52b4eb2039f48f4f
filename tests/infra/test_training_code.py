"""What trains a model anew, and what does not: digests of its code, and the identity of the image."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.bundling import BundleError
from infra.source_tree import imported_names, reachable
from infra.training_code import TrainingCode, image_context, locked_packages, model_archive, training_code
from penstock.spec.model import MODELS
from tests.infra.conftest import copy_of_project
from training.steps.__main__ import STEPS

MODEL, NEIGHBOUR = "flight-delay", "neighbour"
OWN = f"training/models/{MODEL}"
Edit = Callable[[str, str], None]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a second model and a README."""
    root = copy_of_project(tmp_path_factory.mktemp("training-code"))
    (root / MODELS / NEIGHBOUR).mkdir()
    for path in (root / MODELS / MODEL).glob("*.*"):
        (root / MODELS / NEIGHBOUR / path.name).write_bytes(path.read_bytes())
    (root / "README.md").write_text("A project.\n", encoding="utf-8")
    return root


@pytest.fixture
def edit(copied: Path) -> Iterator[Edit]:
    """Appends to a file of the project, or makes it; undone at the end of the test."""
    before: dict[Path, bytes | None] = {}

    def change(name: str, more: str) -> None:
        path = copied / name
        before.setdefault(path, path.read_bytes() if path.exists() else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((before[path] or b"") + more.encode())

    yield change
    for path, data in before.items():
        path.unlink() if data is None else path.write_bytes(data)


def bump(root: Path, package: str) -> Callable[[], None]:
    """Lock another version of a package; returns what undoes it."""
    path = root / "uv.lock"
    text = path.read_text(encoding="utf-8")
    match = re.search(rf'name = "{package}"\nversion = "([^"]+)"', text)
    assert match, package
    path.write_text(text.replace(match.group(), match.group().replace(match.group(1), "99.0.1")), encoding="utf-8")
    return lambda: (path.write_text(text, encoding="utf-8"), None)[1]


def parts_changed(before: TrainingCode, after: TrainingCode) -> set[str]:
    assert (before.digest == after.digest) == (before == after)
    return {name for name in vars(before) if vars(before)[name] != vars(after)[name]}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (f"{OWN}/train.py", "model"),
        (f"{OWN}/helper.py", "model"),
        (f"{OWN}/notes.md", "model"),
        (f"{OWN}/contract.yaml", "specification"),
        ("training/Dockerfile", "dockerfile"),
        ("training/steps/__main__.py", "steps"),
        ("training/steps/job/train.py", "steps"),
        ("training/steps/export/onnx_export.py", "steps"),
        ("training/steps/measure/report_data.py", "steps"),
        ("penstock/spec/model.py", "steps"),
        ("penstock/scoring/model.py", "steps"),
        ("penstock/evaluation/bootstrap.py", "steps"),
    ],
)
def test_an_edit_of_code_that_the_job_runs_changes_one_part_of_the_digest(
    copied: Path, edit: Edit, name: str, part: str
) -> None:
    # Given a model's code
    before = training_code(copied, MODEL)
    # When a file of the job's changes, or comes new
    edit(name, "\n# changed\n")
    # Then the digest does too, and that part says where
    assert parts_changed(before, training_code(copied, MODEL)) == {part}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("# a comment", set()),
        ("description: late flights", set()),
        ("approval: {approvers: 2}", set()),
        ("capture: {sample: 0.5}", set()),
        ("dataset: replace", {"specification"}),
        ("decision: {recall: 0.9}", {"specification"}),
    ],
)
def test_only_fields_that_decide_a_run_change_the_digest(copied: Path, text: str, parts: set[str]) -> None:
    # Given a model's code
    before = training_code(copied, MODEL)
    # When a field of its specification is added
    name = text.partition(":")[0]
    path = copied / OWN / "model.yaml"
    original = path.read_text(encoding="utf-8")
    others = "".join(line for line in original.splitlines(keepends=True) if not line.startswith(f"{name}:"))
    path.write_text(f"{others}\n{text}\n", encoding="utf-8")
    try:
        after = training_code(copied, MODEL)
    finally:
        path.write_text(original, encoding="utf-8")
    # Then the model trains again only if the field decides what a run gives
    assert parts_changed(before, after) == parts


UNRELATED = [
    "README.md",
    "penstock/report/page.py",
    "penstock/report/templates/report.css",
    "penstock/cli/app.py",
    "penstock/cli/commands/runs.py",
    "penstock/local/server/application.py",
    "penstock/audit/why.py",
    "penstock/release/live_service.py",
    "penstock/stack_outputs.py",
    "functions/predict/handler.py",
    "infra/model_stack.py",
    f"training/models/{NEIGHBOUR}/train.py",
    f"training/models/{NEIGHBOUR}/model.yaml",
    f"{OWN}/__pycache__/train.cpython-311.pyc",
    f"{OWN}/.train.py.swp",
]


@pytest.mark.parametrize("name", UNRELATED)
def test_an_unrelated_edit_changes_neither_code_nor_image(copied: Path, edit: Edit, name: str) -> None:
    before = training_code(copied, MODEL), image_context(copied), model_archive(copied, MODEL)
    edit(name, "\n# changed\n")
    assert (training_code(copied, MODEL), image_context(copied), model_archive(copied, MODEL)) == before


@pytest.mark.parametrize(
    "name",
    [
        "training/steps/serve/app.py",
        "penstock/captures/record.py",
        "training/steps/job/inspect_files.py",
        "penstock/readers/csv_table.py",
    ],
)
def test_an_edit_of_what_serves_or_inspects_changes_the_image_and_trains_nothing(
    copied: Path, edit: Edit, name: str
) -> None:
    code, image = training_code(copied, MODEL), image_context(copied)
    edit(name, "\n# changed\n")
    assert training_code(copied, MODEL) == code
    assert image_context(copied) != image


@pytest.mark.parametrize("name", ["train.py", "model.yaml", "helper.py"])
def test_a_models_own_edit_changes_its_archive_and_not_the_image(copied: Path, edit: Edit, name: str) -> None:
    image, archive, neighbour = image_context(copied), model_archive(copied, MODEL), training_code(copied, NEIGHBOUR)
    edit(f"{OWN}/{name}", "\n# changed\n")
    assert image_context(copied) == image
    assert model_archive(copied, MODEL) != archive
    assert training_code(copied, NEIGHBOUR) == neighbour


def test_the_image_contains_no_model_folder(copied: Path) -> None:
    context = image_context(copied)
    names = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
    assert {"training/Dockerfile", "uv.lock", "pyproject.toml", "training/steps/serve/server.py"} <= names
    assert not [name for name in names if name.startswith(("training/models/", "penstock/cli/", "penstock/report/"))]


def test_the_image_imports_what_its_steps_import(copied: Path) -> None:
    # Given the image's sources alone, when each step's module is imported, then nothing of ours is missing
    program = "; ".join(f"import {module}" for module in [*STEPS.values(), "training.steps.serve.worker"])
    context = image_context(copied)
    process = subprocess.run([sys.executable, "-c", program], cwd=context, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("package", ["scikit-learn", "onnx", "scipy"])
def test_another_version_of_a_package_that_training_uses_is_other_code(copied: Path, package: str) -> None:
    before, undo = training_code(copied, MODEL), bump(copied, package)
    try:
        assert parts_changed(before, training_code(copied, MODEL)) == {"packages"}
    finally:
        undo()


@pytest.mark.parametrize(
    "package", ["ruff", "aws-cdk-lib", "typer", "ministack", "boto3", "uvloop", "aws-lambda-powertools"]
)
def test_another_version_of_any_other_package_is_not(copied: Path, package: str) -> None:
    before, undo = training_code(copied, MODEL), bump(copied, package)
    try:
        assert training_code(copied, MODEL) == before
    finally:
        undo()


def test_the_packages_are_those_that_are_installed(copied: Path) -> None:
    # Given what uv would install for the group, as the Dockerfile asks it
    command = [str(Path(sys.executable).with_name("uv")), "export", "--frozen", "--only-group", "training"]
    options = ["--no-hashes", "--no-emit-project", "--no-header", "--no-annotate", "--quiet", "--project", str(copied)]
    exported = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    installed = {line.partition(";")[0].strip() for line in exported.splitlines() if "==" in line}
    # Then the lock was read the same way
    assert set(locked_packages(copied, "training")) == installed


def test_the_packages_hold_whatever_the_training_job_imports(copied: Path) -> None:
    # Given the third-party modules that the job's sources import
    starts = [copied / "training" / "steps" / "__main__.py", copied / "training" / "steps" / "job" / "train.py"]
    sources = reachable(copied, starts, ("penstock", "training"), ())
    modules = {name.partition(".")[0] for data in sources.values() for name in imported_names(data)}
    modules -= {*sys.stdlib_module_names, "penstock", "training"}
    # When their packages are looked up, then the digest is over the version of each
    names = {package.partition("==")[0] for package in locked_packages(copied, "training")}
    owners = {module: {owner.lower() for owner in packages_distributions()[module]} for module in modules}
    assert {"sklearn", "onnx", "polars"} <= modules
    assert {module: owner for module, owner in owners.items() if not owner & names} == {}


def test_moving_text_between_two_files_is_other_code(copied: Path, edit: Edit) -> None:
    # Given two files
    edit(f"{OWN}/a.txt", "x")
    edit(f"{OWN}/b.txt", "y")
    before = training_code(copied, MODEL)
    # When their contents are dealt otherwise
    edit(f"{OWN}/a.txt", "")
    edit(f"{OWN}/b.txt", "xy")
    # Then it is another digest
    assert training_code(copied, MODEL) != before
    assert len(before.digest) == 64


def test_modules_imported_only_by_train_py_are_training_code(copied: Path, edit: Edit) -> None:
    # Given a train.py that uses a module which the job itself does not
    edit(f"{OWN}/train.py", "\nfrom penstock.readers.csv_table import CsvTable  # noqa\n")
    before = training_code(copied, MODEL)
    # When that module changes, then it is other code for this model alone
    neighbour = training_code(copied, NEIGHBOUR)
    edit("penstock/readers/csv_table.py", "\n# changed\n")
    assert parts_changed(before, training_code(copied, MODEL)) == {"steps"}
    assert training_code(copied, NEIGHBOUR) == neighbour


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("import penstock.cli", "training/models/flight-delay/train.py imports penstock.cli: a job takes library"),
        ("from penstock.report import page", "train.py needs penstock/report/.*keep what the model needs in its own"),
        ("import training.models.neighbour.train", "needs training/models/neighbour/train.py, which is neither"),
    ],
)
def test_an_import_that_the_job_cannot_serve_is_refused(copied: Path, edit: Edit, line: str, sentence: str) -> None:
    edit(f"{OWN}/train.py", f"\n{line}\n")
    with pytest.raises(BundleError, match=sentence):
        training_code(copied, MODEL)


def test_a_train_py_with_a_syntax_error_is_left_to_the_job(copied: Path, edit: Edit) -> None:
    edit(f"{OWN}/train.py", "\ndef fit(:\n")
    assert len(training_code(copied, MODEL).digest) == 64
