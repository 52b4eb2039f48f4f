"""Change the `serving` section of the demo's model.yaml."""

from pathlib import Path

OWN = "serving:\n  explain: {}\n"


def replace_serving(path: Path, section: str) -> None:
    """Replace the section in a model.yaml."""
    text = path.read_text(encoding="utf-8")
    assert text.count(OWN) == 1
    path.write_text(text.replace(OWN, f"{section.strip()}\n"), encoding="utf-8")
