"""The generated reference: `make docs`. A test fails when a page is not what the code says."""

import json
import sys
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from penstock.cli.app import app
from penstock.spec import model as spec

HERE = Path(__file__).parent


def pages() -> dict[Path, str]:
    """Each generated file with its content."""
    context = typer.Context(typer.main.get_command(app), info_name="penstock")
    command = get_docs_for_click(obj=context.command, ctx=context, name="penstock")
    return {
        HERE / "reference" / "cli.md": command.strip() + "\n",
        HERE / "model.schema.json": json.dumps(spec.schema(), indent=2) + "\n",
    }


def main() -> int:
    """Write the pages."""
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
