"""What the documents say is what the code does."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from docs.generate import pages
from penstock.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize(("path", "content"), pages().items(), ids=lambda value: getattr(value, "name", ""))
def test_a_generated_page_is_what_the_code_says(path: Path, content: str) -> None:
    assert path.read_text(encoding="utf-8") == content, "run `make docs`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_exists(path: Path) -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]

    said = set(re.findall(r"(?:^\$ |`)penstock ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE))

    assert said <= commands


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_path_in_a_document_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    linked = [path.parent / link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
    named = [ROOT / name for name in re.findall(r"`((?:penstock|infra|functions|training|tests|docs)/[\w/.-]+)`", text)]

    assert [str(found) for found in linked + named if not found.exists()] == []


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z%-]+)(?: [a-z]+)?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"`make ([a-z]+)`|^\$ make ([a-z]+)", path.read_text(), re.MULTILINE)
    }

    assert {name for pair in said for name in pair if name} <= targets
