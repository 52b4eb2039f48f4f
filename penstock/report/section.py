"""A section of the report: a heading, a line that explains it, and a template with what it prints."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """One entry of the list of contents; without content it is left out."""

    anchor: str
    """Its `id` in the page: ours, never from data."""
    title: str
    explanation: str
    template: str
    """A file of `templates/sections/`."""
    content: Any
