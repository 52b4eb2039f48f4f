"""The import direction of the design, read off the source."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import BUCKET, MODEL, REGION, STAGE, STREAM

PROJECT = Path(__file__).parents[2]
ABOVE = ("penstock.cli", "penstock.ui", "penstock.local")
SIDES = ("infra", "functions", "training")
MAY_USE_BOTO3 = {
    "penstock/release/endpoints.py",
    "penstock/aws/feature_store.py",
    "penstock/ledger/releases.py",
    "penstock/ledger/table.py",
    "penstock/aws/s3_store.py",
    "penstock/aws/caller.py",
    "penstock/aws/ecr.py",
    "penstock/aws/model_registry.py",
    "penstock/aws/executions.py",
    "penstock/aws/lambda_version.py",
    "penstock/release/live_service.py",
    "penstock/aws/notifier.py",
    "penstock/aws/cloudwatch.py",
    "penstock/captures/pseudonyms.py",
}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    return sorted(path for path in found if not {"node_modules", "cdk.out", ".bundles"} & set(path.parts))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def library() -> list[Path]:
    above = {PROJECT / "penstock" / name.partition(".")[2] for name in ABOVE}
    return sorted(path for path in (PROJECT / "penstock").rglob("*.py") if not above & set(path.parents))


@pytest.mark.parametrize("side", SIDES)
def test_sides_import_the_library_only(side: str) -> None:
    # Given the files of one side
    # When their imports are read
    found = [(path, module) for path in sources(side) for module in imported(path)]
    # Then none is of the command, the page, the laptop cloud or another side
    others = [other for other in SIDES if other != side]
    wrong = [f"{path.relative_to(PROJECT)}: {module}" for path, module in found if below(module, *ABOVE, *others)]
    assert wrong == []


def test_the_library_imports_nothing_above_it() -> None:
    found = [(path.name, module) for path in library() for module in imported(path)]
    assert len(library()) > 15
    assert [item for item in found if below(item[1], *ABOVE, *SIDES, "demo", "tests")] == []


def test_functions_do_not_import_each_other() -> None:
    for path in sources("functions"):
        own = f"functions.{path.relative_to(PROJECT / 'functions').parts[0]}"
        assert [m for m in imported(path) if below(m, "functions") and not below(m, own)] == [], path


def test_only_gateways_import_boto3() -> None:
    found = {
        path.relative_to(PROJECT).as_posix()
        for path in sources("penstock", *SIDES)
        if any(below(module, "boto3") for module in imported(path))
    }
    allowed = {name for name in found if name.startswith(("penstock/cli/", "penstock/ui/", "penstock/local/"))}
    assert found - allowed - MAY_USE_BOTO3 == set()
    assert found >= MAY_USE_BOTO3, "a gateway of the list is gone: shorten it"


def test_predict_loads_only_what_its_cold_start_can_bear() -> None:
    # Given a process with the predict function's environment
    variables = {
        "PENSTOCK_STAGE": STAGE,
        "PENSTOCK_MODEL": MODEL,
        "PENSTOCK_BUCKET": BUCKET,
        "PENSTOCK_CAPTURE": STREAM,
        "AWS_DEFAULT_REGION": REGION,
        "PATH": os.environ["PATH"],
    }
    program = "import sys, functions.predict.handler; print(*sorted(m for m in sys.modules if m.count('.') < 2))"
    # When it starts
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=variables, check=True, capture_output=True, text=True
    )
    # Then these are not in it
    loaded = set(done.stdout.split())
    assert "msgspec" in loaded
    # And what scores, for a version that has a model and no endpoint to ask
    assert loaded & {"onnxruntime", "functions.predict.endpoint_proxy"} == set()
    # And what hashes values waits for a model that has such a column
    assert "penstock.predict_settings" in loaded
    assert "penstock.captures.pseudonyms" not in loaded
    # And what writes the document, for somebody who asks
    assert "penstock.api.openapi" not in loaded
    assert "penstock.api.explain" not in loaded
    assert (
        loaded & {"polars", "pydantic", "sklearn", "onnx", "yaml", "lightgbm", "open_data_contract_standard"} == set()
    )
