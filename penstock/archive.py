"""Unpack an untrusted archive in memory: only known names, regular files and bounded sizes."""

import io
import tarfile
from collections.abc import Mapping


class ArchiveError(Exception):
    """An archive that no training job of ours wrote."""


def unpack(data: bytes, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Read the listed members of a `.tar.gz`.

    Args:
        data: the archive.
        limits: name → most bytes that it may have. Other members are ignored.

    Raises:
        ArchiveError: not an archive, a listed member is missing, there twice, no regular file, or too large.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in limits:
                    if name in files:
                        raise ArchiveError(f"{name} is in the archive twice")
                    files[name] = _content(archive, member, name, limits[name])
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArchiveError(f"the artifact is no intact .tar.gz: {error}") from None
    if missing := sorted(set(limits) - set(files)):
        raise ArchiveError(f"the artifact lacks {', '.join(missing)}")
    return files


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, most: int) -> bytes:
    if not member.isreg():
        raise ArchiveError(f"{name} is no regular file")
    if member.size > most:
        raise ArchiveError(f"{name} has {member.size:,} bytes, at most {most:,} are taken")
    stream = archive.extractfile(member)
    if stream is None:
        raise ArchiveError(f"{name} has no content")
    return stream.read()
