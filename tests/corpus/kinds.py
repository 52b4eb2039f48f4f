"""A kind of bad file: its name, its content, and the words of its refusal."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Content = bytes | Callable[[Path], object]
"""The bytes, or a function that writes them to a path."""


@dataclass(frozen=True)
class Kind:
    name: str
    """The file's name as uploaded."""
    content: Content
    words: tuple[str, ...]
    """Words that its refusal must contain."""
    bomb: bool = False
    """Whether reading it carelessly takes much memory."""

    def put(self, folder: Path) -> Path:
        """Write the file to a folder; return its path."""
        path = folder / "upload"
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        return path


def kind(name: str, content: Content, *words: str, bomb: bool = False) -> Kind:
    return Kind(name, content, words, bomb)
