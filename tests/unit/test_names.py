"""Names are nouns and verbs: no variable, parameter or function is called by a bare participle."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.architecture import PROJECT

FOLDERS = ("penstock", "functions", "infra", "training", "tests", "bench", "demo", "docs")
PARTICIPLES = frozenset(
    [
        "answered",
        "asked",
        "begun",
        "dealt",
        "done",
        "drawn",
        "felt",
        "forgotten",
        "found",
        "given",
        "gone",
        "got",
        "heard",
        "held",
        "kept",
        "known",
        "made",
        "meant",
        "named",
        "noted",
        "promised",
        "said",
        "seen",
        "shown",
        "spared",
        "spoken",
        "taken",
        "told",
        "touched",
        "tried",
        "wanted",
        "written",
    ]
)
"""They say what happened to a value, not what it is: a message, a result, rows, a reason."""


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of whatever a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def test_no_name_is_a_bare_participle() -> None:
    wrong = []
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            place = path.relative_to(PROJECT)
            wrong += [f"{place}:{line}: {name}" for line, name in names(tree) if name.strip("_") in PARTICIPLES]
    assert wrong == []


@pytest.mark.parametrize("line", ["said = 1", "def f(found): ...", "def _made(): ...", "for given in (): ..."])
def test_a_bare_participle_is_noticed(line: str) -> None:
    assert any(name.strip("_") in PARTICIPLES for _, name in names(ast.parse(line)))
