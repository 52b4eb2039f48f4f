"""Generate the reference pages (`make docs`); a test fails when a page differs from what this writes.

`python -m docs.generate --first-lines` prints the first line of every docstring, to read them in one go.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from docs.generators.alarms import alarms_page, model_template
from docs.generators.command import command_page
from docs.generators.contract_yaml import contract_page
from docs.generators.environment import environment_page
from docs.generators.events import events_page
from docs.generators.model_yaml import model_page
from docs.generators.packages import with_packages
from docs.generators.storage import storage_page
from penstock.spec import model as spec

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"
ALARMS = REFERENCE / "metrics-and-alarms.md"
"""The one page that needs a synthesis; `tests/infra` compares it with the template that it has anyway."""
ARCHITECTURE = HERE / "explanation" / "architecture.md"
FOLDERS = ("penstock", "infra", "functions", "training", "docs")


def pages() -> dict[Path, str]:
    """Return each generated file with its content, except `ALARMS`."""
    return {
        REFERENCE / "cli.md": command_page(),
        REFERENCE / "model.md": model_page(),
        REFERENCE / "contract.md": contract_page(),
        REFERENCE / "events.md": events_page(),
        REFERENCE / "environment.md": environment_page(),
        REFERENCE / "storage.md": storage_page(),
        ARCHITECTURE: with_packages(ARCHITECTURE.read_text(encoding="utf-8")),
        HERE / "model.schema.json": json.dumps(spec.schema(), indent=2) + "\n",
    }


def first_lines() -> Iterator[str]:
    """List `file:line name: first line` of every docstring."""
    root = HERE.parent
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    line, name = getattr(node, "lineno", 1), getattr(node, "name", "")
                    yield f"{path.relative_to(root).as_posix()}:{line} {name}: {text.partition(chr(10))[0]}"


def main(arguments: list[str]) -> int:
    """Write the pages, or print the first lines of the docstrings."""
    if "--first-lines" in arguments:
        sys.stdout.write("".join(f"{line}\n" for line in first_lines()))
        return 0
    for path, content in (pages() | {ALARMS: alarms_page(model_template())}).items():
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
