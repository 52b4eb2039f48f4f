"""Archives opened without trust: member by member, known names, regular files, bounded sizes, in memory."""

import io
import tarfile
from collections.abc import Mapping


class ArchiveError(Exception):
    """An archive that is not what a training job leaves."""


def unpack(data: bytes, wanted: Mapping[str, int]) -> dict[str, bytes]:
    """The wanted members of a `.tar.gz`.

    Args:
        data: the archive.
        wanted: name → most bytes it may have. Other members are passed over.

    Raises:
        ArchiveError: not an archive, a wanted member is missing, twice there, no regular file, or too large.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in wanted:
                    if name in found:
                        raise ArchiveError(f"{name} is in the archive twice")
                    found[name] = _content(archive, member, name, wanted[name])
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArchiveError(f"the artifact is no intact .tar.gz: {error}") from None
    if missing := sorted(set(wanted) - set(found)):
        raise ArchiveError(f"the artifact lacks {', '.join(missing)}")
    return found


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, most: int) -> bytes:
    if not member.isreg():
        raise ArchiveError(f"{name} is no regular file")
    if member.size > most:
        raise ArchiveError(f"{name} has {member.size:,} bytes, at most {most:,} are taken")
    stream = archive.extractfile(member)
    if stream is None:
        raise ArchiveError(f"{name} has no content")
    return stream.read()
