"""Deployment packages of the Lambda functions: deterministic, and built once for the same input.

A bundle is a zip file named by the hash of what goes into it. It holds the function's own folder, the library modules
that it imports (found by reading the sources, so that a change elsewhere leaves it alone) with the templates of their
packages, the model's specification, and, where the stage asks for it, the function's third-party group as locked in
`uv.lock`. Packages are installed for Lambda's platform by uv; neither Docker nor the target's own interpreter is
needed.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.source_tree import ForbiddenImportError, reachable

GROUPS: Mapping[str, str] = {
    "start_run": "functions",
    "validate": "tables",
    "register": "report",
    "end_run": "functions",
    "authorize": "functions",
    "smoke_test": "functions",
    "watch_rollout": "tables",
    "end_rollout": "functions",
    "predict": "predict",
    "monitor": "tables",
    "start_batch": "functions",
    "plan_batch": "tables",
    "score_part": "predict",
    "join_batch": "tables",
    "end_batch": "functions",
}
"""Each function's dependency group in pyproject.toml, unless a model's specification asks for another."""
EXPERIMENTS = "experiments"
"""register's group where the specification names an MLflow server."""
_RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six")
"""What Lambda's runtime has; a group that needs it has it from there."""
SPECIFICATION = ("model.yaml", "contract.yaml")
FOLDER = ".bundles"
PLATFORM = "x86_64-manylinux_2_28"
LIBRARY = "penstock"
ABOVE_LIBRARY = {f"{LIBRARY}.{name}" for name in ("cli", "ui", "local")}
"""Packages that neither a function nor a job may import."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DEAD_WEIGHT = {"tests"}
_COMPILED = {"predict", "functions", "report", EXPERIMENTS}
"""Groups bundled with bytecode, for the cold start; `tables` is near Lambda's limit, and no caller waits for it."""


class BundleError(Exception):
    """A bundle that cannot be built; the message says why and what to do."""


@dataclass(frozen=True)
class Bundle:
    """A zip file and the hash of its content."""

    path: Path
    digest: str


def bundle(root: Path, function: str, model: str, *, python: str, vendored: bool, group: str | None = None) -> Bundle:
    """Build the bundle of a function of a model, or return the existing one.

    Args:
        root: the project.
        function: folder in `functions/`.
        model: folder in `training/models/`; its specification goes into every bundle but predict's.
        python: version of the runtime, e.g. `3.13`.
        vendored: whether third-party packages go in.
        group: of these packages; None for the function's own (`GROUPS`).

    Raises:
        BundleError: unknown function, an import that a function must not have, or packages that cannot be installed.
    """
    content = _sources(root, function) | _specification(root, function, model)
    base = _packages(root, group or GROUPS[function], python) if vendored else None
    digest = hashlib.sha256(f"{python} {base.digest if base else ''}".encode())
    for name, data in sorted(content.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    path = root / FOLDER / f"{function}-{digest.hexdigest()}.zip"
    if not path.exists():
        compiled = vendored and (group or GROUPS[function]) in _COMPILED
        write_archive(path, content | (_bytecode(content, python) if compiled else {}), base)
    return Bundle(path, digest.hexdigest())


def write_archive(path: Path, content: Mapping[str, bytes], base: Bundle | None = None) -> None:
    """Write a zip file whose bytes depend on its content alone, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft = Path(scratch) / path.name
        if base is not None:
            shutil.copyfile(base.path, draft)
        with zipfile.ZipFile(draft, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(content.items()):
                archive.writestr(_entry(name), data)
        draft.replace(path)


def _entry(name: str, mode: int = 0o644) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whatever the host: it decides how the mode is read
    return entry


def _specification(root: Path, function: str, model: str) -> dict[str, bytes]:
    if function == "predict":  # what a model needs to answer is in its file, bound to it by digest
        return {}
    folder = root / "training" / "models" / model
    return {f"model/{name}": (folder / name).read_bytes() for name in SPECIFICATION}


# First-party sources


def _sources(root: Path, function: str) -> dict[str, bytes]:
    """Read the function's folder and every library module that it imports, with their packages' data, by path."""
    if function not in GROUPS:
        raise BundleError(f"function {function!r} has no dependency group: name one in infra/bundling.py")
    own = sorted((root / "functions" / function).glob("*.py"))
    if not own:
        raise BundleError(f"functions/{function}/ has no handler.py")
    try:
        return reachable(root, own, {LIBRARY}, ABOVE_LIBRARY)
    except ForbiddenImportError as error:
        raise BundleError(f"{error}: a function takes library modules only") from None


# Third-party packages


@cache
def _packages(root: Path, group: str, python: str) -> Bundle:
    """Build a zip file of a dependency group as locked, for Lambda's platform."""
    lock = hashlib.sha256((root / "uv.lock").read_bytes() + (root / "pyproject.toml").read_bytes()).hexdigest()
    listed = root / FOLDER / f"requirements-{group}-{lock}.txt"
    if not listed.exists():
        listed.parent.mkdir(exist_ok=True)
        listed.write_text(_requirements(root, group), encoding="utf-8")
    # This module decides what of a package goes in: another version of it makes another bundle.
    how = Path(__file__).read_text(encoding="utf-8")
    digest = hashlib.sha256(f"{python} {PLATFORM}\n{listed.read_text(encoding='utf-8')}\n{how}".encode()).hexdigest()
    path = root / FOLDER / f"packages-{group}-{digest}.zip"
    if not path.exists():
        _install(group, listed, path, python)
    return Bundle(path, digest)


def _requirements(root: Path, group: str) -> str:
    options = ["--no-hashes", "--no-emit-project", "--no-header", "--no-annotate", "--quiet"]
    options += [option for name in _RUNTIME for option in ("--no-emit-package", name)]
    return _uv(["export", "--frozen", "--only-group", group, *options, "--project", str(root)], f"group {group}")


def _install(group: str, requirements: Path, path: Path, python: str) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        target = Path(scratch) / "packages"
        where = ["--target", str(target), "--python-platform", PLATFORM, "--python-version", python]
        exact = ["--only-binary", ":all:", "--no-deps", "-r", str(requirements)]
        _uv(["pip", "install", "--quiet", *where, *exact], f"the packages of {requirements.name}")
        if group in _COMPILED:
            _compile(target, python)
        draft = Path(scratch) / path.name
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(file for file in target.rglob("*") if file.is_file() and _needed(file, target)):
                mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
                archive.writestr(_entry(file.relative_to(target).as_posix(), mode), file.read_bytes())
        draft.replace(path)


def _compile(target: Path, python: str) -> None:
    """Compile for the runtime's own version, or not at all: another version's bytecode is dead weight.

    What a function does is the same either way, and so is its bundle's name. Bytecode is checked against no source
    and names no path of this machine, so that it too is always the same.
    """
    if (compiler := interpreter(python)) is None:
        return
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(target), "-p", "/var/task"]
    subprocess.run([compiler, "-I", "-m", "compileall", *options, str(target)], check=False, capture_output=True)


def _bytecode(content: Mapping[str, bytes], python: str) -> dict[str, bytes]:
    """Compile first-party sources: Lambda's disk is read-only, so each cold start would compile them again."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        for name, data in content.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(data)
        _compile(target, python)
        return {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*.pyc")}


@cache
def interpreter(python: str) -> str | None:
    """Find a Python of that version on this machine; None, with one warning, if there is none."""
    try:
        return _uv(["python", "find", "--no-project", "--no-python-downloads", python], f"Python {python}").strip()
    except BundleError:
        sys.stderr.write(
            f"penstock: no Python {python} here, so bundles hold no bytecode (uv python install {python})\n"
        )
        return None


def _needed(file: Path, target: Path) -> bool:
    """Return whether a file is needed; tests, stubs and uv's marks are not, and Lambda takes 250 MB at most."""
    parts = file.relative_to(target).parts
    return not (_DEAD_WEIGHT & set(parts) or parts[0] in {"bin", ".lock"} or file.suffix == ".pyi")


def _uv(arguments: list[str], what: str) -> str:
    beside = Path(sys.executable).with_name("uv")
    command = [str(beside) if beside.exists() else "uv", *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BundleError("uv, which bundles the packages, is not installed: uv sync --group toolchain") from None
    if process.returncode != 0:
        raise BundleError(f"uv could not resolve {what}: {process.stderr.strip()[-1000:]}")
    return process.stdout
