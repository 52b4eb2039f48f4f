"""Print which unit tests belong to what was edited: `pytest $(python tests/changed.py)`.

What was edited is what differs from the merge base with `origin/main`, or from the last commit where there is none.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[1]
UNIT = PurePath("tests/unit")
ALWAYS = ("test_imports.py", "test_docs.py", "predict/test_cold_start.py")
"""Rules that an edit anywhere may break."""
STEPS = {
    "authorize": "release",
    "end_rollout": "release",
    "smoke_test": "release",
    "watch_rollout": "release",
    "monitor": "monitoring",
    "predict": "predict",
    "start_batch": "batch",
    "plan_batch": "batch",
    "score_part": "batch",
    "join_batch": "batch",
    "end_batch": "batch",
}
"""Folders of `functions/` and the unit tests that hold them; the others belong to the pipeline."""


def tests_of(edited: Iterable[str]) -> list[str]:
    """Return the unit tests to run for edited files, by folder where a folder of tests has their package's name."""
    chosen = {UNIT / name for name in ALWAYS if (ROOT / UNIT / name).exists()}
    for name in edited:
        path = PurePath(name)
        if path.is_relative_to(UNIT) and path.name.startswith("test_") and (ROOT / path).exists():
            chosen.add(path)
        elif folder := _folder(path.parts):
            chosen.add(UNIT / folder)
    whole = {path for path in chosen if path.suffix != ".py"}
    return sorted(str(path) for path in chosen if not whole & set(path.parents) - {path})


def _folder(parts: tuple[str, ...]) -> str | None:
    """The folder of unit tests for a file of the library, the functions or the training."""
    if len(parts) < 2 or not parts[-1].endswith(".py"):
        return None
    package = {"penstock": parts[1], "functions": STEPS.get(parts[1], "pipeline"), "training": "training"}.get(parts[0])
    return package if package and (ROOT / UNIT / package).is_dir() else None


def edited_files() -> list[str]:
    """Return the files that differ from main, those that git does not know yet among them."""
    base = _git("merge-base", "HEAD", "origin/main") or ["HEAD"]
    return [*_git("diff", "--name-only", base[0]), *_git("ls-files", "--others", "--exclude-standard")]


def _git(*arguments: str) -> list[str]:
    """The lines that a git command prints; none where it fails."""
    completed = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return completed.stdout.splitlines() if completed.returncode == 0 else []


if __name__ == "__main__":
    print(*tests_of(edited_files()))  # noqa: T201
