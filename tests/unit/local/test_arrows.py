"""The import rules inside the laptop cloud and the command line, checked against the source."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.architecture import PROJECT, layers

LOCAL_ARROWS: Mapping[str, frozenset[str]] = {
    package: frozenset(imported.split())
    for package, imported in {
        "host": "",
        "patches": "host",
        "sagemaker.protocol": "",
        "sagemaker.core": "host sagemaker.protocol",
        "sagemaker.container": "host sagemaker.core sagemaker.protocol",
        "sagemaker.registry": "sagemaker.container sagemaker.core sagemaker.protocol",
        "sagemaker.jobs": "sagemaker.container sagemaker.core sagemaker.protocol",
        "sagemaker.features": "host sagemaker.container sagemaker.core sagemaker.protocol",
        "sagemaker.hosting": "host sagemaker.container sagemaker.core sagemaker.protocol sagemaker.registry",
        "sagemaker.integration": "patches sagemaker.core sagemaker.features sagemaker.hosting sagemaker.jobs "
        "sagemaker.protocol sagemaker.registry",
        "server": "host patches sagemaker.core sagemaker.integration",
    }.items()
}
"""Each package of `penstock.local`, and the packages of it that it imports."""

COMMANDS_OF_ONE_MODULE = {"models_diff": "models", "runs_compare": "runs"}
"""Modules in `penstock/cli/commands` that are part of another one's command, and that one."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module of Penstock that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("penstock."))
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("penstock"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (PROJECT / f"{inner.replace('.', '/')}.py").exists()
                yield inner if is_module else str(node.module)


def modules(folder: str) -> dict[str, Path]:
    return {module_name(path): path for path in sorted((PROJECT / folder).rglob("*.py"))}


def package_of(module: str) -> str:
    """The package of `penstock.local` that a module belongs to; "" for the face at its top."""
    packages = [name for name in LOCAL_ARROWS if module.startswith(f"penstock.local.{name}.")]
    return max(packages, key=len, default="")


def test_packages_of_the_laptop_cloud_import_as_listed() -> None:
    # Given every module of the laptop cloud, when its imports are read
    arrows: defaultdict[str, set[str]] = defaultdict(set)
    for name, path in modules("penstock/local").items():
        package = package_of(name)
        if path.name == "__init__.py":
            continue
        assert package, f"{name} is in no package of LOCAL_ARROWS"
        arrows[package] |= {package_of(other) for other in imports(path) if other.startswith("penstock.local")}
    # Then they are the arrows of the list, without those inside a package
    assert {name: frozenset(others - {name}) for name, others in arrows.items()} == LOCAL_ARROWS
    # And no packages import each other in a circle
    assert layers(LOCAL_ARROWS)


@pytest.mark.parametrize("folder", ["penstock/local", "penstock/cli"])
def test_there_is_no_import_cycle_of_modules(folder: str) -> None:
    # Given the modules of a folder and what they import of each other
    paths = modules(folder)
    arrows = {name: frozenset(imports(path)) & paths.keys() - {name} for name, path in paths.items()}
    # When they are put into layers, then there is one for each
    assert sum(map(len, layers(arrows))) == len(paths)


def test_only_the_application_imports_commands() -> None:
    # Given the modules of the command line, when their imports are read
    commands = {
        (name, other)
        for name, path in modules("penstock/cli").items()
        for other in imports(path)
        if other.startswith("penstock.cli.commands.") and name != "penstock.cli.app"
    }
    # Then only a command of several modules imports another module of the commands
    prefix = "penstock.cli.commands."
    assert commands == {(prefix + command, prefix + part) for part, command in COMMANDS_OF_ONE_MODULE.items()}
    # And nothing but the package's face imports the application
    importers = {name for name, path in modules("penstock/cli").items() if "penstock.cli.app" in imports(path)}
    assert importers == {"penstock.cli"}


@pytest.mark.parametrize("words", [["--help"], ["push", "--help"], ["why", "--help"], ["runs"]])
def test_the_command_imports_neither_mlflow_nor_openlineage_unasked(words: list[str], tmp_path: Path) -> None:
    # Given a command that asks for neither; `runs` ends where it finds no project
    program = (
        "import sys\nfrom penstock.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([n for n in sys.modules if 'mlflow' in n or 'openlineage' in n], file=sys.stderr)"
    )
    # When it has run in a process of its own
    command = [sys.executable, "-c", program, *words]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    # Then no module of the two is loaded
    assert result.stderr.splitlines()[-1] == "[]"
