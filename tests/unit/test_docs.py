"""The documents against the code: generated pages, links, paths, commands, and how long they are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from docs.generate import pages
from penstock.cli.app import app

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
DECISIONS = ROOT / "docs" / "decisions"
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
WRITTEN = [path for path in DOCUMENTS if REFERENCE not in path.parents]
"""The documents that people write."""
MOST_WORDS_OF_README, MOST_WORDS_OF_A_DECISION = 900, 400
MOST_LINES, MOST_CHARACTERS = 5, 140
"""Of a paragraph in the source."""
FOLDERS = "bench|demo|docs|functions|infra|penstock|tests|training"


def document_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def without_fences(text: str) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_fences(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[tuple[Path, str]]:
    """Each relative link of a page: the file that it names, and the anchor."""
    text = without_fences(path.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", link):
            name, _, anchor = link.partition("#")
            yield (path.parent / name if name else path), anchor


def block_commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `penstock` line in the blocks of code that a shell would run."""
    for block in re.findall(r"^```(?:console|bash)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for part in split_at(words, {"&&", "|", ";", "||"}):
                if part[:1] == ["penstock"]:
                    yield part[1:]


def inline_commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `penstock …` within backticks; they may be the beginning of a command."""
    for code in re.findall(r"`penstock ([^`]+)`", without_fences(text)):
        yield shlex.split(code)


def split_at(words: list[str], separators: set[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in [*words, ";"]:
        if word in separators:
            yield part
            part = []
        else:
            part.append(word)


def resolve(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command that arguments name, and the arguments that are left to it."""
    command: Any = get_command(app)
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command, arguments


def paragraphs(text: str) -> Iterator[list[str]]:
    """Paragraphs and items of lists, as the lines of the source; no blocks of code, tables, headings or pictures."""
    text = re.sub(r"<!-- packages:begin -->.*<!-- packages:end -->", "", text, flags=re.DOTALL)
    lines: list[str] = []
    for line in [*without_fences(text).splitlines(), ""]:
        begins = re.match(r"\s*(?:[-*]|\d+\.) ", line)
        ends = not line.strip() or line.startswith(("|", "#", "![", "<!--"))
        if (begins or ends) and lines:
            yield lines
            lines = []
        if not ends:
            lines.append(line)


def words(text: str) -> int:
    """Words as a reader counts them: the bars of a table are none."""
    return len(re.findall(r"\S*\w\S*", text))


@pytest.mark.parametrize(("path", "content"), pages().items(), ids=lambda value: getattr(value, "name", ""))
def test_a_generated_page_is_what_the_code_says(path: Path, content: str) -> None:
    assert path.read_text(encoding="utf-8") == content, "run `make docs`"


def test_every_page_of_the_reference_is_generated() -> None:
    pages_on_disk = {path.name for path in REFERENCE.glob("*.md")} - {path.name for path in pages()}

    # The page on alarms needs a synthesis: tests/infra holds it.
    assert pages_on_disk == {"metrics-and-alarms.md"}


@pytest.mark.parametrize("path", WRITTEN, ids=document_id)
def test_every_command_in_a_block_can_be_run_as_it_stands(path: Path) -> None:
    faults = []
    for arguments in block_commands(path.read_text(encoding="utf-8")):
        command, rest = resolve(arguments)
        if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            faults.append(f"penstock {' '.join(arguments)}: there is no such command")
            continue
        try:
            command.make_context(command.name, list(rest))
        except Exception as error:
            if type(error).__name__ != "Exit":  # `--help`
                faults.append(f"penstock {' '.join(arguments)}: {error}")

    assert faults == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=document_id)
def test_every_command_in_a_sentence_exists_with_its_options(path: Path) -> None:
    faults = []
    for arguments in inline_commands(path.read_text(encoding="utf-8")):
        command, rest = resolve(arguments)
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        unknown = [
            word for word in rest if word.startswith("--") and word.partition("=")[0] not in options | {"--help"}
        ]
        if unknown or (hasattr(command, "commands") and rest and not rest[0].startswith("-")):
            faults.append(f"penstock {' '.join(arguments)}")

    assert faults == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=document_id)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    faults = []
    for target, anchor in links(path):
        if not target.exists():
            faults.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(target):
            faults.append(f"{target}: no heading #{anchor}")

    assert faults == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=document_id)
def test_every_path_in_a_document_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    names = re.findall(rf"`((?:{FOLDERS}|\.github)/[\w/.-]+)`", text)

    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z%-]+)(?: [a-z]+)?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    names = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"`make ([a-z-]+)`|^\$ make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }

    targets_named = {name for pair in names for name in pair if name}
    assert {name for name in targets_named if name not in targets and not name.startswith("bench-")} == set()
    benches = {
        name.removeprefix("bench-").rstrip("-").replace("-", "_") for name in targets_named if name.startswith("bench-")
    }
    assert {name for name in benches if name and not list((ROOT / "bench").glob(f"{name}*"))} == set()


def test_the_readme_is_short() -> None:
    assert words((ROOT / "README.md").read_text(encoding="utf-8")) <= MOST_WORDS_OF_README


@pytest.mark.parametrize("path", WRITTEN, ids=document_id)
def test_a_paragraph_is_short(path: Path) -> None:
    long = [
        lines[0]
        for lines in paragraphs(path.read_text(encoding="utf-8"))
        if len(lines) > MOST_LINES or any(len(line) > MOST_CHARACTERS for line in lines)
    ]

    assert long == []


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("0*.md")), ids=document_id)
def test_a_decision_is_short_and_listed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert words(text) <= MOST_WORDS_OF_A_DECISION
    title = text.partition("\n")[0].removeprefix(f"# {path.name[:4]} · ")
    assert f"| [{path.name[:4]}]({path.name}) | {title} |" in (DECISIONS / "README.md").read_text(encoding="utf-8")
