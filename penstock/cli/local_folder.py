"""A folder on the operator's machine as one upload: which of its files go along, and what names them together."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.cli.target import UsageError
from penstock.lake import holds_rows
from penstock.readers.open_table import ENDINGS, readable


@dataclass(frozen=True)
class File:
    """A file as it was when its content was hashed."""

    path: Path
    name: str
    """Below the folder, with slashes."""
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""
    sha256: str

    @classmethod
    def read(cls, path: Path, name: str) -> "File":
        """The file, hashed.

        Raises:
            UsageError: it cannot be read, or changes meanwhile.
        """
        try:
            before = path.stat()
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        found = cls(path, name, before.st_size, before.st_mtime_ns, digest)
        found.be_as_it_was()
        return found

    def be_as_it_was(self) -> None:
        """Refuse a file that changed since.

        Raises:
            UsageError: naming it.
        """
        try:
            now = self.path.stat()
        except OSError:
            raise UsageError(f"{self.path} went away while it was sent; push the folder again") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            raise UsageError(f"{self.path} changed while it was sent; push the folder again when it is whole")


@dataclass(frozen=True)
class Folder:
    """What is pushed of a folder."""

    path: Path
    files: tuple[File, ...]

    @property
    def name(self) -> str:
        """The folder's own name and 12 hex digits of SHA-256 over its files' names and contents."""
        listed = "".join(f"{file.name}\0{file.sha256}\n" for file in self.files)
        return f"{self.path.resolve().name or 'folder'}-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @classmethod
    def read(cls, path: Path, names: list[str]) -> "Folder":
        """The named files of a folder.

        Raises:
            UsageError: one cannot be read.
        """
        return cls(path, tuple(File.read(path / name, name) for name in names))


def data_files(path: Path) -> list[str]:
    """The names below a folder that are pushed, recursively: not what is hidden or begins with `_`, as no run reads it.

    Raises:
        UsageError: no data in it, a file that no run can read, or one that cannot be sent.
    """
    names = sorted(_names(path))
    if not names:
        raise UsageError(f"{path} holds no files to push (names that begin with . or _ are left out)")
    if strange := [name for name in names if not readable(name)]:
        more = f", and {len(strange) - 1} more files" if len(strange) > 1 else ""
        raise UsageError(f"{path / strange[0]} ends in none of {', '.join(ENDINGS)}{more}: nothing was sent")
    return names


def _names(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder, onerror=_refuse):
        within = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if holds_rows(name)]
        if linked := [name for name in folders if (Path(place) / name).is_symlink()]:
            raise UsageError(f"{Path(place) / linked[0]} is a link to a folder: push that one, or copy it here")
        yield from (_sendable(folder, (within / name).as_posix()) for name in files if holds_rows(name))


def _refuse(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror}")


def _sendable(folder: Path, name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{folder} holds a file whose name is not UTF-8, {name!r}: rename it") from None
    return name
