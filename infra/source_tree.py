"""Find the first-party files that a program needs by reading its imports.

An import anywhere in a source counts, inside a function or behind `TYPE_CHECKING` too: a file too many is harmless, one
that is missing is not. Nothing is imported, so that the answer depends on the sources alone.
"""

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

_CACHES = "__pycache__"
_DATA = {".html", ".css"}
"""Suffixes of a package's files that its modules read."""


class ForbiddenImportError(Exception):
    """An import of a module that the program must not have; the message names both."""


def reachable(
    root: Path, starts: Iterable[Path], packages: Collection[str], forbidden: Collection[str]
) -> dict[str, bytes]:
    """Read the files that a program consists of.

    Args:
        root: the project.
        starts: the program's own files.
        packages: dotted names of the packages whose imports are followed.
        forbidden: dotted names of packages that must not be imported.

    Returns:
        path relative to the project → content: the starts, every module of `packages` that they reach with the
        `__init__.py` above it, and the templates and style sheets of its package.

    Raises:
        ForbiddenImportError: naming the file and what it imports.
    """
    waiting, files, names = list(starts), dict[str, bytes](), set[str]()
    while waiting:
        path = waiting.pop()
        source = path.relative_to(root).as_posix()
        if source in files:
            continue
        files[source] = path.read_bytes()
        if path.suffix != ".py":
            continue
        for name in sorted(imported_names(files[source]) - names):
            if is_below(name, forbidden):
                raise ForbiddenImportError(f"{source} imports {name}")
            if is_below(name, packages):
                waiting += [root / module for module in _module_files(root, name)]
            names.add(name)
    return files


def files_below(folder: Path) -> list[Path]:
    """List the files of a folder and its subfolders, sorted, without hidden files and bytecode caches."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder)))


def _module_files(root: Path, name: str) -> Iterator[str]:
    """Yield the files that importing a dotted name loads, and the data files of its packages."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        module = Path(*parts[:length])
        if (root / module.with_suffix(".py")).is_file():
            yield module.with_suffix(".py").as_posix()
        if (root / module / "__init__.py").is_file():
            yield (module / "__init__.py").as_posix()
            if length > 1:
                yield from _data_files(root, module)


def _data_files(root: Path, package: Path) -> Iterator[str]:
    """Yield the templates and style sheets of a package, without those of its subpackages."""
    for path in sorted((root / package).iterdir()):
        if path.suffix in _DATA and path.is_file():
            yield path.relative_to(root).as_posix()
        elif path.is_dir() and not (path / "__init__.py").exists():
            yield from _data_files(root, path.relative_to(root))


def _is_hidden(path: Path) -> bool:
    return any(part == _CACHES or part.startswith(".") for part in path.parts)


def is_below(name: str, packages: Collection[str]) -> bool:
    """Return whether a dotted name is one of the packages or in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@cache
def imported_names(data: bytes) -> frozenset[str]:
    """Return every dotted name that an import statement of a source may load."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)
