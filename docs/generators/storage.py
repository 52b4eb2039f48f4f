"""The page on the lake: every S3 key, from the docstring of `penstock.lake`."""

import inspect
import textwrap

from docs.generators.markdown import page, table
from penstock import lake

INTRODUCTION = """One bucket for each stage. A prefix always ends with the model's name and a slash, so that a
permission or a rule can be cut for one model. `penstock/lake.py` builds and reads every key."""


def storage_page() -> str:
    """Write each key with what is stored under it."""
    paragraphs = inspect.cleandoc(lake.__doc__ or "").split("\n\n")
    listing = next(text for text in paragraphs if text.startswith("    "))
    rows = [_row(line) for line in textwrap.dedent(listing).splitlines()]
    return page("What is stored where", INTRODUCTION, table(("Key", "What"), rows))


def _row(line: str) -> tuple[str, str]:
    """Split at the first blank that follows the key; the columns may touch."""
    key, _, meaning = line.partition(" ")
    return f"`{key}`", meaning.strip()
