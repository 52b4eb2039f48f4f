"""What a kind of bad file is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Content = bytes | Callable[[Path], object]
"""The bytes, or what writes them to a path."""


@dataclass(frozen=True)
class Kind:
    name: str
    """The file's name, as it is uploaded."""
    content: Content
    words: tuple[str, ...]
    """What the sentence that refuses it has to hold."""
    bomb: bool = False
    """Whether it is made to take memory."""

    def put(self, folder: Path) -> Path:
        """The file, made."""
        path = folder / "upload"
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        return path


def kind(name: str, content: Content, *words: str, bomb: bool = False) -> Kind:
    return Kind(name, content, words, bomb)
