"""The tutorial's commands, run in order in an empty folder, and what the page says that they print."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.local.conftest import free_port
from tests.local.stage.project import FILES, FOLDERS, ROOT

PAGE = ROOT / "docs" / "tutorial" / "first-model.md"
FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A block of commands, its exit code, and the lines that the page says it prints."""

    script: str
    code: int
    printed: list[str]


def steps(text: str) -> list[Step]:
    """The blocks marked `bash`; `exit=N` says with which code they end, a `text` block after one what it prints."""
    blocks = [(language, info, body) for language, info, body in FENCE.findall(text)]
    following = [*blocks[1:], ("", "", "")]
    return [
        Step(body, int(info.partition("=")[2] or 0), after[2].splitlines() if after[0] == "text" else [])
        for (language, info, body), after in zip(blocks, following, strict=True)
        if language == "bash"
    ]


def is_printed(lines: list[str], output: str) -> bool:
    """Whether an output has the lines, in their order; `…` stands for anything, and blanks are one blank."""
    parts = [re.escape(part.strip()) for line in lines for part in [*" ".join(line.split()).split("…"), "\n"]]
    pattern = ".*?".join(part for part in parts if part not in {"", "\\\n"})
    return re.search(pattern, " ".join(output.split()), re.DOTALL) is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder with what `git clone` and `make` put there, and afterwards no cloud of its own."""
    root = tmp_path_factory.mktemp("tutorial")
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    yield root
    run("penstock down", root)


PORT = free_port()


def run(script: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run commands as somebody with the environment activated does."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PENSTOCK_PORT": str(PORT), "COLUMNS": "200"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_the_tutorial_does_what_it_says(folder: Path) -> None:
    # Given the commands of the page
    blocks = steps(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) > 12

    for step in blocks:
        # When each is run after those before it
        result = run(step.script, folder)
        # Then it ends as the page says, and prints what the page shows
        output = result.stdout + result.stderr
        assert result.returncode == step.code, f"{step.script}\n{output}"
        assert is_printed(step.printed, output), f"{step.script}\n{output}\nlacks {step.printed}"


def test_is_printed_finds_only_lines_in_the_output() -> None:
    assert is_printed(["live: version … serves", "b"], "a\nlive:  version 1\nserves all b")
    assert not is_printed(["live: version … serves", "b"], "b live: version 1 serves all")
    assert not is_printed(["x"], "y")
