"""The import rules of `tests/support/architecture.py`, checked against the source."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.architecture import (
    APPLICATIONS,
    ARROWS,
    CONSTRUCT_ARROWS,
    GATEWAYS,
    PROJECT,
    SIDES,
    direct_arrows,
    layers,
)
from tests.support.world import BUCKET, MODEL, REGION, STAGE, STREAM

LIMIT_OF_MODULES = 20
"""Above this a folder is no longer taken in at a glance."""
LIMIT_AT_THE_TOP = 12
"""Modules directly in `penstock/`."""


def sources(*folders: str) -> list[Path]:
    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    return sorted(path for path in paths if not {"node_modules", "cdk.out", ".bundles"} & set(path.parts))


def imports(path: Path) -> Iterator[str]:
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
    """The modules of `penstock` that functions, jobs and the app share."""
    applications = {PROJECT / name.replace(".", "/") for name in APPLICATIONS}
    return sorted(path for path in (PROJECT / "penstock").rglob("*.py") if not applications & set(path.parents))


def arrows_between_packages(root: Path, name: str) -> Mapping[str, frozenset[str]]:
    """Each package directly below a folder, and those of its neighbours that its modules import."""
    packages = {path.parent.name for path in root.glob("*/__init__.py")}
    arrows: defaultdict[str, set[str]] = defaultdict(set)
    for package in packages:
        for path in (root / package).rglob("*.py"):
            names = [module.removeprefix(f"{name}.").split(".")[0] for module in imports(path) if below(module, name)]
            arrows[package] |= packages.intersection(names) - {package}
    return {package: frozenset(arrows[package]) for package in packages}


@pytest.mark.parametrize("side", SIDES)
def test_functions_infra_and_training_do_not_import_each_other_or_an_application(side: str) -> None:
    # Given the files of one side
    # When their imports are read
    pairs = [(path, module) for path in sources(side) for module in imports(path)]
    # Then none is of the command, the page, the laptop cloud or another side
    others = [other for other in SIDES if other != side]
    wrong = [f"{path.relative_to(PROJECT)}: {name}" for path, name in pairs if below(name, *APPLICATIONS, *others)]
    assert wrong == []


def test_the_library_imports_no_application_and_no_side() -> None:
    pairs = [(path.name, module) for path in library() for module in imports(path)]
    assert len(library()) > 100
    assert [item for item in pairs if below(item[1], *APPLICATIONS, *SIDES, "demo", "tests")] == []


def test_packages_of_the_library_import_as_listed() -> None:
    # Given the arrows between the library's packages, as the source has them
    applications = {name.partition(".")[2] for name in APPLICATIONS}
    arrows = arrows_between_packages(PROJECT / "penstock", "penstock")
    actual = {package: imported for package, imported in arrows.items() if package not in applications}
    # Then they are those of the list: none is new, none is gone
    assert actual == dict(ARROWS)


def test_packages_of_the_constructs_import_as_listed() -> None:
    actual = arrows_between_packages(PROJECT / "infra" / "constructs", "infra.constructs")
    assert actual == dict(CONSTRUCT_ARROWS)


@pytest.mark.parametrize("arrows", [ARROWS, CONSTRUCT_ARROWS], ids=["library", "constructs"])
def test_there_is_no_import_cycle_of_packages(arrows: Mapping[str, frozenset[str]]) -> None:
    order = [package for layer in layers(arrows) for package in layer]
    assert sorted(order) == sorted(arrows)


def test_an_import_cycle_of_packages_is_named() -> None:
    with pytest.raises(ValueError, match="in a circle: a, b"):
        layers({"a": frozenset("b"), "b": frozenset("a"), "c": frozenset()})


def test_the_drawing_omits_transitive_arrows() -> None:
    arrows = {"a": frozenset(), "b": frozenset("a"), "c": frozenset("ab")}
    assert direct_arrows(arrows) == [("b", "a"), ("c", "b")]


def test_no_folder_has_too_many_modules() -> None:
    counts: defaultdict[str, int] = defaultdict(int)
    for path in sources("penstock", *SIDES, "tests", "bench", "demo"):
        counts[path.parent.relative_to(PROJECT).as_posix()] += path.name != "__init__.py"
    assert {folder: count for folder, count in counts.items() if count > LIMIT_OF_MODULES} == {}
    assert len(list((PROJECT / "penstock").glob("*.py"))) <= LIMIT_AT_THE_TOP


def test_functions_do_not_import_each_other() -> None:
    for path in sources("functions"):
        own = f"functions.{path.relative_to(PROJECT / 'functions').parts[0]}"
        assert [m for m in imports(path) if below(m, "functions") and not below(m, own)] == [], path


def test_only_gateways_import_boto3() -> None:
    # Given the modules outside penstock/aws and the applications that import boto3
    aside = ("penstock/aws/", *(f"{name.replace('.', '/')}/" for name in APPLICATIONS))
    paths = {
        path.relative_to(PROJECT).as_posix()
        for path in sources("penstock", *SIDES)
        if any(below(module, "boto3") for module in imports(path))
    }
    # Then they are the gateways of the list: none is new, none is gone
    assert {path for path in paths if not path.startswith(aside)} == GATEWAYS


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
    program = "import sys, functions.predict.handler; print(*sorted(sys.modules))"
    # When it starts
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, env=variables, check=True, capture_output=True, text=True
    )
    # Then these are not in it
    loaded = set(completed.stdout.split())
    assert {"msgspec", "penstock.predict_settings", "functions.predict.capture"} <= loaded
    # And what scores, for a version that has a model and no endpoint to ask
    assert loaded & {"onnxruntime", "functions.predict.endpoint_proxy"} == set()
    # And what hashes values waits for a model that has such a column
    assert "penstock.captures.pseudonyms" not in loaded
    # And what writes the document, for somebody who asks
    assert "penstock.api.openapi" not in loaded
    assert "penstock.api.explain" not in loaded
    assert (
        loaded & {"polars", "pydantic", "sklearn", "onnx", "yaml", "lightgbm", "open_data_contract_standard"} == set()
    )
