"""`python -m infra`, the command in `cdk.json`: synthesise the app, or reuse the assembly of an identical earlier run.

Synthesis is pure, so the same inputs give the same assembly, and most of its seconds go into loading the CDK.
Assemblies are cached only where validation is off (`CDK_VALIDATION=false`, as `penstock up` sets it): a stage that is
validated is synthesised anew each time. `infra.app` itself caches nothing.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".bundles" / "assemblies"
READ = ("infra", "functions", "penstock", "training", "cdk.json", "pyproject.toml", "uv.lock", ".dockerignore")
"""Everything of the project that the app reads lies in these."""
NEVER_READ = {Path("penstock", name) for name in ("cli", "ui", "local")}
"""Packages that neither the app nor what it bundles may import."""
INPUTS = ("CDK_CONTEXT_JSON", "CDK_DEFAULT_ACCOUNT", "CDK_DEFAULT_REGION", "CDK_CLI_VERSION")
"""Environment variables in which the CDK command line passes its inputs."""
CACHE_SIZE = 5
"""Assemblies that are kept."""


def main() -> int:
    """Write the assembly to `CDK_OUTDIR` and return the app's exit code."""
    folder = os.environ.get("CDK_OUTDIR")
    if folder is None or os.environ.get("CDK_VALIDATION", "true").lower() != "false":
        return _synthesise()
    cached = CACHE / _digest()
    if not (cached / "manifest.json").exists() and (code := _fill_cache(cached)):
        return code
    cached.touch()
    shutil.copytree(cached, folder, dirs_exist_ok=True)
    return 0


def _synthesise() -> int:
    from infra import app  # noqa: PLC0415 - loads the CDK

    return app.main()


def _fill_cache(place: Path) -> int:
    """Synthesise into the cache; an interrupted synthesis leaves nothing there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        assembly = Path(scratch) / "assembly"
        os.environ["CDK_OUTDIR"] = str(assembly)
        if code := _synthesise():
            return code
        shutil.rmtree(place, ignore_errors=True)
        assembly.rename(place)
    for old in sorted(CACHE.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[CACHE_SIZE:]:
        shutil.rmtree(old, ignore_errors=True)
    return 0


def _digest() -> str:
    """Return the SHA-256 of everything that the assembly depends on."""
    digest = hashlib.sha256(f"{sys.version} {version('aws-cdk-lib')} {version('jsii')}".encode())
    for name in INPUTS:
        digest.update(f"{name}={os.environ.get(name, '')}\0".encode())
    for path in _files():
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for name in READ:
        place = ROOT / name
        paths = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in paths if path.is_file() and _is_read(path.relative_to(ROOT)))


def _is_read(path: Path) -> bool:
    return "__pycache__" not in path.parts and not NEVER_READ & set(path.parents)


if __name__ == "__main__":
    sys.exit(main())
