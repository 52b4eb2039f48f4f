"""`python -m infra`, what `cdk.json` runs: the app, or its answer to the same question before.

Synthesis is pure, so the same inputs have the same answer, and most of its seconds go into loading the CDK. The
answer is remembered where the rules are off (`CDK_VALIDATION=false`, as `penstock up` has it): a stage that is checked
is synthesised anew each time. `infra.app` itself remembers nothing.
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
MEMORY = ROOT / ".bundles" / "assemblies"
READ = ("infra", "functions", "penstock", "training", "cdk.json", "pyproject.toml", "uv.lock", ".dockerignore")
"""Where everything is that the app reads of the project."""
NEVER_READ = {Path("penstock", name) for name in ("cli", "ui", "local")}
"""Packages there that neither the app nor what it bundles may import."""
ASKED = ("CDK_CONTEXT_JSON", "CDK_DEFAULT_ACCOUNT", "CDK_DEFAULT_REGION", "CDK_CLI_VERSION")
"""The question, as the CDK's command line puts it."""
MOST = 5
"""Answers that are kept."""


def main() -> int:
    """Leave the assembly in the folder that the CDK asks for; the app's exit code."""
    folder = os.environ.get("CDK_OUTDIR")
    if folder is None or os.environ.get("CDK_VALIDATION", "true").lower() != "false":
        return _synthesise()
    remembered = MEMORY / _digest()
    if not (remembered / "manifest.json").exists() and (code := _remember(remembered)):
        return code
    remembered.touch()
    shutil.copytree(remembered, folder, dirs_exist_ok=True)
    return 0


def _synthesise() -> int:
    from infra import app  # noqa: PLC0415 - loads the CDK

    return app.main()


def _remember(place: Path) -> int:
    """Synthesise into a place of its own, whole or not at all."""
    MEMORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch:
        made = Path(scratch) / "assembly"
        os.environ["CDK_OUTDIR"] = str(made)
        if code := _synthesise():
            return code
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    for old in sorted(MEMORY.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[MOST:]:
        shutil.rmtree(old, ignore_errors=True)
    return 0


def _digest() -> str:
    """SHA-256 over the question and everything that the answer depends on."""
    digest = hashlib.sha256(f"{sys.version} {version('aws-cdk-lib')} {version('jsii')}".encode())
    for name in ASKED:
        digest.update(f"{name}={os.environ.get(name, '')}\0".encode())
    for path in _files():
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for name in READ:
        place = ROOT / name
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and _is_read(path.relative_to(ROOT)))


def _is_read(path: Path) -> bool:
    return "__pycache__" not in path.parts and not NEVER_READ & set(path.parents)


if __name__ == "__main__":
    sys.exit(main())
