"""Bundles: what goes in, nothing else, and always the same bytes for the same input."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.bundling import FOLDER, GROUPS, BundleError, bundle
from tests.infra.conftest import ROOT, Synthesis, copy_of_project

HOST = f"{sys.version_info.major}.{sys.version_info.minor}"
MODEL = "flight-delay"
LAMBDA_LIMIT = 262_144_000
"""Bytes that a function may have, unpacked."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_project(tmp_path_factory.mktemp("bundling"))


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_same_input_gives_the_same_bytes(project: Path) -> None:
    # Given a bundle made twice from nothing
    first = bundle(project, "validate", MODEL, python=HOST, vendored=False)
    bytes_before = first.path.read_bytes()
    first.path.unlink()
    os.utime(project / "functions" / "validate" / "handler.py", (0, 0))
    # When it is made again at another time
    second = bundle(project, "validate", MODEL, python=HOST, vendored=False)
    # Then name and content are the same
    assert second == first
    assert second.path.read_bytes() == bytes_before


def test_it_holds_what_the_function_imports(project: Path) -> None:
    found = names(bundle(project, "predict", MODEL, python=HOST, vendored=False).path)
    assert {"functions/predict/handler.py", "functions/predict/capture.py", "penstock/scoring.py"} <= found
    # And neither what others import nor the specification, which predict does not read
    assert not {"penstock/ledger.py", "penstock/registry.py", "functions/monitor/handler.py"} & found
    assert not [name for name in found if name.startswith("model/")]


@pytest.mark.parametrize("function", sorted(set(GROUPS) - {"predict"}))
def test_the_others_hold_the_specification(project: Path, function: str) -> None:
    found = names(bundle(project, function, MODEL, python=HOST, vendored=False).path)
    assert {"model/model.yaml", "model/contract.yaml"} <= found


@pytest.mark.parametrize("function", sorted(GROUPS))
def test_it_is_complete(project: Path, tmp_path: Path, function: str) -> None:
    # Given a bundle unpacked where nothing of the project is
    with zipfile.ZipFile(bundle(project, function, MODEL, python=HOST, vendored=False).path) as archive:
        archive.extractall(tmp_path)
    # When its handler is imported without its settings
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from penstock.settings import SettingsError\n"
        f"try:\n import functions.{function}.handler\n"
        "except SettingsError as error:\n print(error)\n"
    )
    environment = {"PATH": "", "AWS_DEFAULT_REGION": "us-east-1", "LAMBDA_TASK_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    # Then everything that it imports is there, and it names what it lacks
    assert "PENSTOCK_STAGE" in done.stdout, done.stderr


def test_a_change_elsewhere_leaves_it_alone(project: Path) -> None:
    before = bundle(project, "predict", MODEL, python=HOST, vendored=False)
    path = project / "penstock" / "ledger.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(original + "\nCHANGED = True\n", encoding="utf-8")
    assert bundle(project, "predict", MODEL, python=HOST, vendored=False) == before
    assert bundle(project, "end_run", MODEL, python=HOST, vendored=False).path.exists()
    path.write_text(original, encoding="utf-8")


def test_a_function_that_imports_the_command_is_refused(project: Path) -> None:
    path = project / "functions" / "end_run" / "handler.py"
    original = path.read_text(encoding="utf-8")
    path.write_text("import penstock.cli\n" + original, encoding="utf-8")
    with pytest.raises(BundleError, match=r"functions/end_run/handler\.py imports penstock\.cli"):
        bundle(project, "end_run", MODEL, python=HOST, vendored=False)
    path.write_text(original, encoding="utf-8")


def test_an_unknown_function_is_refused(project: Path) -> None:
    with pytest.raises(BundleError, match="'predicts' has no dependency group"):
        bundle(project, "predicts", MODEL, python=HOST, vendored=False)


@pytest.mark.parametrize("function", ["predict", "validate", "start_run"])
def test_prods_bundles_fit_and_hold_their_packages(prod: Synthesis, function: str) -> None:
    # Given the bundle that the synthesis of prod left behind
    assert prod.code == 0
    made = bundle(ROOT, function, MODEL, python="3.13", vendored=True)
    assert made.path.parent == ROOT / FOLDER
    with zipfile.ZipFile(made.path) as archive:
        entries = archive.infolist()
    # Then Lambda takes it
    assert sum(entry.file_size for entry in entries) < LAMBDA_LIMIT
    assert len(entries) == len({entry.filename for entry in entries})
    # And it holds the function's group for the runtime's version, and no other's
    found = {entry.filename.split("/")[0] for entry in entries}
    assert ("onnxruntime" in found) == (function == "predict")
    assert ("polars" in found) == (function == "validate")
    assert "boto3" not in found
    tags = {part for entry in entries for part in entry.filename.split(".") if part.startswith("cpython-3")}
    assert tags <= {"cpython-313-x86_64-linux-gnu", "cpython-313"}
