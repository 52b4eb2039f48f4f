"""Bundles hold what a function imports and nothing else, and are byte-identical for the same input."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.bundling import GROUPS, BundleError, bundle
from tests.infra.conftest import copy_of_project

HOST = f"{sys.version_info.major}.{sys.version_info.minor}"
MODEL = "flight-delay"
TEMPLATES = "penstock/report/templates"
LAMBDA_LIMIT = 262_144_000
"""Bytes that a function may have, unpacked."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_project(tmp_path_factory.mktemp("bundling"))


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_same_input_gives_the_same_bytes(copied: Path) -> None:
    # Given a bundle made twice from nothing
    first = bundle(copied, "validate", MODEL, python=HOST, vendored=False)
    bytes_before = first.path.read_bytes()
    first.path.unlink()
    os.utime(copied / "functions" / "validate" / "handler.py", (0, 0))
    # When it is made again at another time
    second = bundle(copied, "validate", MODEL, python=HOST, vendored=False)
    # Then name and content are the same
    assert second == first
    assert second.path.read_bytes() == bytes_before


def test_a_bundle_holds_what_the_function_imports(copied: Path) -> None:
    files = names(bundle(copied, "predict", MODEL, python=HOST, vendored=False).path)
    assert {"functions/predict/handler.py", "functions/predict/capture.py", "penstock/scoring/model.py"} <= files
    # And neither what others import nor the specification, which predict does not read
    assert not {"penstock/ledger/ledger.py", "penstock/aws/model_registry.py", "functions/monitor/handler.py"} & files
    assert not [name for name in files if name.startswith("model/")]


def test_templates_travel_with_the_modules_of_their_package(copied: Path) -> None:
    # Given the report's templates, and files beside them that nothing reads
    templates = {path.relative_to(copied).as_posix() for path in (copied / TEMPLATES).rglob("*") if path.is_file()}
    assert {f"{TEMPLATES}/page.html", f"{TEMPLATES}/style.css", f"{TEMPLATES}/sections/gates.html"} <= templates
    stray = copied / TEMPLATES / ".page.html.swp"
    stray.write_bytes(b"left by an editor")
    # Then register, which draws the report, has them all, and nothing else
    register = bundle(copied, "register", MODEL, python=HOST, vendored=False)
    stray.unlink()
    files = names(register.path)
    assert {name for name in files if name.startswith(f"{TEMPLATES}/")} == templates
    # And whoever imports nothing of the package has none
    predict = names(bundle(copied, "predict", MODEL, python=HOST, vendored=False).path)
    assert not [name for name in predict if name.endswith((".html", ".css"))]
    # And a changed template makes another bundle
    page = copied / TEMPLATES / "page.html"
    original = page.read_text(encoding="utf-8")
    page.write_text(original + "<!-- changed -->", encoding="utf-8")
    assert bundle(copied, "register", MODEL, python=HOST, vendored=False).digest != register.digest
    page.write_text(original, encoding="utf-8")
    assert bundle(copied, "register", MODEL, python=HOST, vendored=False).digest == register.digest


def test_the_report_is_drawn_from_the_bundle_alone(copied: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle(copied, "register", MODEL, python=HOST, vendored=False).path) as archive:
        archive.extractall(tmp_path)
    program = (
        "from penstock.report.page import Report, render\n"
        "page = render(Report(model='m', description='', target='t', outcome='rejected', reason='r', version=None,\n"
        "    verdicts=[], evaluation={}, data={}, training={}, run={'id': 'r1'}, dataset={}))\n"
        "print(page)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert completed.stdout.strip().endswith("</html>"), completed.stderr


@pytest.mark.parametrize("function", sorted(set(GROUPS) - {"predict"}))
def test_other_bundles_hold_the_specification(copied: Path, function: str) -> None:
    files = names(bundle(copied, function, MODEL, python=HOST, vendored=False).path)
    assert {"model/model.yaml", "model/contract.yaml"} <= files


@pytest.mark.parametrize("function", sorted(GROUPS))
def test_a_bundle_is_complete(copied: Path, tmp_path: Path, function: str) -> None:
    # Given a bundle unpacked where nothing of the project is
    with zipfile.ZipFile(bundle(copied, function, MODEL, python=HOST, vendored=False).path) as archive:
        archive.extractall(tmp_path)
    # When its handler is imported without its settings
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from penstock.predict_settings import SettingsError\n"
        f"try:\n import functions.{function}.handler\n"
        "except SettingsError as error:\n print(error)\n"
    )
    environment = {"PATH": "", "AWS_DEFAULT_REGION": "us-east-1", "LAMBDA_TASK_ROOT": str(tmp_path)}
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    # Then everything that it imports is there, and it names what it lacks
    assert "PENSTOCK_STAGE" in completed.stdout, completed.stderr


def test_a_change_elsewhere_leaves_the_bundle_unchanged(copied: Path) -> None:
    before = bundle(copied, "predict", MODEL, python=HOST, vendored=False)
    path = copied / "penstock" / "ledger" / "ledger.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(original + "\nCHANGED = True\n", encoding="utf-8")
    assert bundle(copied, "predict", MODEL, python=HOST, vendored=False) == before
    assert bundle(copied, "end_run", MODEL, python=HOST, vendored=False).path.exists()
    path.write_text(original, encoding="utf-8")


def test_a_function_that_imports_the_command_is_refused(copied: Path) -> None:
    path = copied / "functions" / "end_run" / "handler.py"
    original = path.read_text(encoding="utf-8")
    path.write_text("import penstock.cli\n" + original, encoding="utf-8")
    with pytest.raises(BundleError, match=r"functions/end_run/handler\.py imports penstock\.cli"):
        bundle(copied, "end_run", MODEL, python=HOST, vendored=False)
    path.write_text(original, encoding="utf-8")


def test_an_unknown_function_is_refused(copied: Path) -> None:
    with pytest.raises(BundleError, match="'predicts' has no dependency group"):
        bundle(copied, "predicts", MODEL, python=HOST, vendored=False)


@pytest.mark.parametrize("function", ["predict", "validate", "start_run", "register", "plan_batch", "score_part"])
def test_prods_bundles_fit_and_hold_their_packages(project: Path, function: str) -> None:
    # Given a bundle as prod has it
    package = bundle(project, function, MODEL, python="3.13", vendored=True)
    with zipfile.ZipFile(package.path) as archive:
        entries = archive.infolist()
    # Then Lambda takes it
    assert sum(entry.file_size for entry in entries) < LAMBDA_LIMIT
    assert len(entries) == len({entry.filename for entry in entries})
    # And it holds the function's group for the runtime's version, and no other's
    top_level = {entry.filename.split("/")[0] for entry in entries}
    assert ("onnxruntime" in top_level) == (function in {"predict", "score_part"})
    assert ("jinja2" in top_level) == (function == "register")
    assert ("polars" in top_level) == (function in {"validate", "plan_batch"})
    assert "boto3" not in top_level
    tags = {part for entry in entries for part in entry.filename.split(".") if part.startswith("cpython-3")}
    assert tags <= {"cpython-313-x86_64-linux-gnu", "cpython-313"}


def test_predicts_own_modules_are_compiled_where_that_python_is_here(project: Path) -> None:
    # Given predict's bundle for this very Python
    package = bundle(project, "predict", MODEL, python=HOST, vendored=True)
    # Then each of our modules has its bytecode, so that no cold start compiles it
    files = names(package.path)
    own = {name for name in files if name.endswith(".py") and name.startswith(("functions/", "penstock/"))}
    tag = f"cpython-{HOST.replace('.', '')}.pyc"
    assert own
    assert {f"{Path(name).parent}/__pycache__/{Path(name).stem}.{tag}" for name in own} <= files
