"""A local folder that is pushed as one upload: which of its files belong to it, and the name of their content."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.cli.target import UsageError
from penstock.lake import holds_rows
from penstock.readers.open_table import ENDINGS, is_readable


@dataclass(frozen=True)
class File:
    """A file, its content hashed, with the size and time by which a later change shows."""

    path: Path
    name: str
    """Path below the folder, with slashes."""
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""
    sha256: str

    @classmethod
    def read(cls, path: Path, name: str) -> "File":
        """Hash a file.

        Raises:
            UsageError: it cannot be read, or it changed while it was read.
        """
        try:
            before = path.stat()
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        file = cls(path, name, before.st_size, before.st_mtime_ns, digest)
        file.check_unchanged()
        return file

    def check_unchanged(self) -> None:
        """Check that the file has not changed since it was hashed.

        Raises:
            UsageError: it changed, or was removed.
        """
        try:
            now = self.path.stat()
        except OSError:
            raise UsageError(f"{self.path} was removed while it was sent; push the folder again") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            raise UsageError(f"{self.path} changed while it was sent; push the folder again when it is complete")


@dataclass(frozen=True)
class Folder:
    """A folder and those of its files that are pushed."""

    path: Path
    files: tuple[File, ...]

    @property
    def name(self) -> str:
        """The folder's own name, and 12 hex digits of the SHA-256 over its files' names and contents."""
        content = "".join(f"{file.name}\0{file.sha256}\n" for file in self.files)
        return f"{self.path.resolve().name or 'folder'}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @classmethod
    def read(cls, path: Path, names: list[str]) -> "Folder":
        """Hash the files of these names below a folder.

        Raises:
            UsageError: one cannot be read.
        """
        return cls(path, tuple(File.read(path / name, name) for name in names))


def data_files(path: Path) -> list[str]:
    """Return the files below a folder that are pushed; names that begin with `.` or `_` are left out, as in every run.

    Raises:
        UsageError: there are none, or one of them cannot be read by a run or cannot be sent.
    """
    names = sorted(_names(path))
    if not names:
        raise UsageError(f"{path} holds no files to push (names that begin with . or _ are left out)")
    if unreadable := [name for name in names if not is_readable(name)]:
        more = f", and {len(unreadable) - 1} more files" if len(unreadable) > 1 else ""
        raise UsageError(f"{path / unreadable[0]} ends in none of {', '.join(ENDINGS)}{more}: nothing was sent")
    return names


def _names(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder, onerror=_raise_unreadable):
        within = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if holds_rows(name)]
        if links := [name for name in folders if (Path(place) / name).is_symlink()]:
            raise UsageError(f"{Path(place) / links[0]} is a link to a folder: push that one, or copy it here")
        yield from (_check_name(folder, (within / name).as_posix()) for name in files if holds_rows(name))


def _raise_unreadable(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror}")


def _check_name(folder: Path, name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{folder} holds a file whose name is not UTF-8, {name!r}: rename it") from None
    return name
