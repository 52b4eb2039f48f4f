"""The code that trains a model: its digests, the training image's files and the archive of the model's folder.

A model is trained anew when one of these changes, and not when anything else does:

- the model's own folder;
- the steps and the library below them, as far as the training job imports them;
- the locked versions of the packages that it uses;
- the Dockerfile.

The image holds the steps for training, inspecting and serving, and no model's folder: that travels beside it, as an
asset of the model's own. So an edit of a model changes neither the image nor another model.
"""

import ast
import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.bundling import ABOVE_LIBRARY, FOLDER, LIBRARY, SPECIFICATION, BundleError, write_archive
from infra.source_tree import ForbiddenImportError, files_below, imported_names, is_below, reachable
from penstock.spec.model import MODELS, read_model

STEPS = Path("training", "steps")
DOCKERFILE = "training/Dockerfile"
CONTRACT = "contract.yaml"
GROUP = "training"
"""Dependency group of the packages that the training job uses."""
_BUILD_FILES = ("pyproject.toml", "uv.lock", DOCKERFILE)
"""What the Dockerfile needs beside the sources."""
_FOLLOWED = (LIBRARY, "training")
_PROJECT = "penstock"
Files = Mapping[str, bytes]
"""Path relative to the project → content."""


@dataclass(frozen=True, kw_only=True)
class TrainingCode:
    """A model's training code, each part by its SHA-256 (hex)."""

    model: str
    """The model's folder, but for its specification."""
    steps: str
    """The training steps and the library modules that they import."""
    packages: str
    """Names and locked versions of the packages."""
    specification: str
    """`contract.yaml`, and the fields of `model.yaml` that decide what a run trains and how it is judged."""
    dockerfile: str

    @property
    def sources(self) -> str:
        """The code without the specification and the Dockerfile."""
        return _digest_texts(self.model, self.steps, self.packages)

    @property
    def digest(self) -> str:
        """All of it: the same digest means that the job would do the same."""
        return _digest_texts(self.sources, self.specification, self.dockerfile)

    def base(self, image: str | None) -> str:
        """Digest what the image is built on: the Dockerfile, or the name of an image that is not built here."""
        return _digest_texts(self.dockerfile, image or "")


def training_code(root: Path, model: str) -> TrainingCode:
    """Digest everything that decides what a model's training job does.

    Raises:
        BundleError: an import that the training image cannot serve.
        SpecError: `model.yaml` cannot be read.
    """
    folder = root / MODELS / model
    own = {path: path.read_bytes() for path in files_below(folder)}
    sources = [path for path, data in own.items() if path.suffix == ".py" and _parses(data)]
    _refuse_missing(root, own, sources)
    steps = _reachable(root, _entry_points(root, "train"), sources)
    contract = (folder / CONTRACT).read_bytes()
    outside = {name: data for name, data in steps.items() if root / name not in own}
    return TrainingCode(
        model=_digest({_name(root, path): data for path, data in own.items() if path.name not in SPECIFICATION}),
        steps=_digest(outside),
        packages=_digest_texts(*locked_packages(root, GROUP)),
        specification=_digest_texts(read_model(folder).training_fields(), _digest({CONTRACT: contract})),
        dockerfile=_digest({DOCKERFILE: (root / DOCKERFILE).read_bytes()}),
    )


def model_archive(root: Path, model: str) -> tuple[Path, str]:
    """Build the zip file of a model's folder, which each run keeps for its jobs; return its path and digest."""
    folder = root / MODELS / model
    content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_below(folder)}
    digest = _digest(content)
    path = root / FOLDER / f"model-{model}-{digest}.zip"
    if not path.exists():
        write_archive(path, content)
    return path, digest


def image_context(root: Path) -> Path:
    """Stage the folder that the training image is built from: what its jobs import, and no model's folder.

    Raises:
        BundleError: an import that a job must not have.
    """
    content = {**_image_sources(root), **{name: (root / name).read_bytes() for name in _BUILD_FILES}}
    target = root / FOLDER / f"image-{_digest(content)}"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            draft = Path(scratch) / target.name
            for name, data in content.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_bytes(data)
            shutil.rmtree(target, ignore_errors=True)
            draft.rename(target)
    return target


def locked_packages(root: Path, group: str) -> list[str]:
    """List the packages of a dependency group with their dependencies, as `name==version`, sorted.

    Environment markers are ignored: a package that only another platform needs is listed too.
    """
    packages = _locked((root / "uv.lock").read_text(encoding="utf-8"))
    (project,) = packages[_PROJECT]
    waiting, reached = list(project["dev-dependencies"][group]), set[str]()
    visited = set[tuple[str, tuple[str, ...]]]()
    while waiting:
        need = waiting.pop()
        extras = tuple(sorted(need.get("extra", ())))
        for package in packages[need["name"]]:
            name = f"{package['name']}=={package['version']}"
            if need.get("version", package["version"]) != package["version"] or (name, extras) in visited:
                continue
            visited.add((name, extras))
            reached.add(name)
            waiting += package.get("dependencies", [])
            waiting += [more for extra in extras for more in package.get("optional-dependencies", {}).get(extra, [])]
    return sorted(reached)


@cache
def _locked(lock: str) -> dict[str, list[dict[str, Any]]]:
    """Read the lock's packages by name; a name may have several versions, for different environments."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads(lock)["package"]:
        packages.setdefault(package["name"], []).append(package)
    return packages


def _image_sources(root: Path) -> Files:
    return _reachable(root, *(_entry_points(root, step) for step in _steps(root)))


def _parses(data: bytes) -> bool:
    """Return whether a source is valid Python; a syntax error is left to the job, which names the line."""
    try:
        return isinstance(ast.parse(data), ast.Module)
    except (SyntaxError, ValueError):
        return False


def _refuse_missing(root: Path, own: Mapping[Path, bytes], sources: Sequence[Path]) -> None:
    """Refuse imports of files that neither the image nor the model's own folder holds."""
    if not any(is_below(name, _FOLLOWED) for path in sources for name in imported_names(own[path])):
        return
    image = _image_sources(root)
    for path in sources:
        for name in _reachable(root, [path]):
            if name not in image and root / name not in own:
                raise BundleError(
                    f"{_name(root, path)} needs {name}, which is neither in the model's own folder nor in "
                    "the training image: keep what the model needs in its own folder"
                )


def _entry_points(root: Path, step: str) -> list[Path]:
    """Return the files that a step starts from."""
    return [root / STEPS / "__main__.py", root / Path(*_steps(root)[step].split(".")).with_suffix(".py")]


def _steps(root: Path) -> dict[str, str]:
    """Read the table step → module of `training.steps`; no import statement names these modules."""
    source = ast.parse((root / STEPS / "__main__.py").read_bytes())
    for node in source.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["STEPS"]:
            table: dict[str, str] = ast.literal_eval(node.value)
            return table
    raise BundleError(f"{STEPS.as_posix()}/__main__.py has no table STEPS")


def _reachable(root: Path, *starts: list[Path]) -> dict[str, bytes]:
    try:
        return reachable(root, [path for group in starts for path in group], _FOLLOWED, ABOVE_LIBRARY)
    except ForbiddenImportError as error:
        raise BundleError(f"{error}: a job takes library modules only") from None


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _digest(files: Files) -> str:
    return hashlib.sha256(b"".join(_framed(files))).hexdigest()


def _framed(files: Files) -> Iterator[bytes]:
    """Yield names and contents, with lengths, so that different files never give the same bytes."""
    for name, data in sorted(files.items()):
        yield f"{name}\0{len(data)}\0".encode() + data


def _digest_texts(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
