"""Untrusted archives: only the listed members are read, and nothing is written or executed."""

import contextlib
import gzip
import io
import json
import os
import pickle
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.archive import ArchiveError, unpack
from penstock.scoring.model import Model, ModelFileError

LIMITS = {"model.onnx": 100, "report.json": 100}


def member(
    name: str, data: bytes = b"data", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return info, data


def pack(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


GOOD = (member("model.onnx", b"model"), member("report.json", b"{}"))


def test_only_the_listed_members_are_read() -> None:
    data = pack(*GOOD, member("more.txt"), member("folder/model.onnx", b"other"))
    assert unpack(data, LIMITS) == {"model.onnx": b"model", "report.json": b"{}"}


def test_a_leading_dot_is_ignored_as_sagemaker_writes_one() -> None:
    assert unpack(pack(member("./model.onnx"), member("./report.json")), LIMITS)["model.onnx"] == b"data"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member("model.onnx", kind=tarfile.SYMTYPE, link="/etc/passwd"), GOOD[1]], "model.onnx is no regular file"),
        ([GOOD[1], member("model.onnx", kind=tarfile.LNKTYPE, link="report.json")], "model.onnx is no regular file"),
        ([member("model.onnx", kind=tarfile.CHRTYPE), GOOD[1]], "model.onnx is no regular file"),
        ([member("model.onnx", kind=tarfile.BLKTYPE), GOOD[1]], "model.onnx is no regular file"),
        ([member("model.onnx", kind=tarfile.FIFOTYPE), GOOD[1]], "model.onnx is no regular file"),
        ([member("model.onnx", kind=tarfile.DIRTYPE), GOOD[1]], "model.onnx is no regular file"),
        ([*GOOD, member("model.onnx", b"another")], "model.onnx is in the archive twice"),
        ([*GOOD, member("./model.onnx", b"another")], "model.onnx is in the archive twice"),
        ([member("model.onnx", b"x" * 101), GOOD[1]], "model.onnx has 101 bytes, at most 100 are taken"),
        ([GOOD[0]], "the artifact lacks report.json"),
        ([], "the artifact lacks model.onnx, report.json"),
        ([member("../model.onnx"), member("/report.json")], "the artifact lacks model.onnx, report.json"),
        ([member("a/../model.onnx"), GOOD[1]], "the artifact lacks model.onnx"),
    ],
)
def test_an_archive_that_no_training_job_writes_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an archive with something else in it, and an empty working folder
    monkeypatch.chdir(tmp_path)
    # When it is opened
    with pytest.raises(ArchiveError) as caught:
        unpack(pack(*members), LIMITS)
    # Then it is refused by name, and nothing was written
    assert str(caught.value) == words
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"PK\x03\x04 not gzip",
        gzip.decompress,
        lambda data: data[: len(data) // 2],
        lambda data: data[:30] + bytes(20) + data[50:],
        lambda data: gzip.compress(b"no tar " * 200),
        lambda data: gzip.compress(gzip.decompress(data)[:600]),
    ],
    ids=["empty", "zip", "plain tar", "half", "damaged", "no tar", "cut inside"],
)
def test_an_archive_that_is_not_intact(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArchiveError):
        unpack(damage(pack(*GOOD)), LIMITS)


def test_a_header_that_claims_more_than_there_is() -> None:
    # Given a member of 100 bytes whose archive ends after 5
    info, _ = member("model.onnx", b"x" * 100)
    raw = info.tobuf() + b"x" * 5
    with pytest.raises(ArchiveError):
        unpack(gzip.compress(raw), LIMITS)


def test_a_bomb_is_refused_by_its_header_and_takes_no_memory() -> None:
    # Given 64 MB of zeros in an archive of some 60 KB, under a listed name and under another
    zeros = bytes(64_000_000)
    listed, other = pack(member("model.onnx", zeros)), pack(member("other", zeros), *GOOD)
    del zeros
    # When they are opened
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="64,000,000 bytes"):
        unpack(listed, LIMITS)
    files = unpack(other, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then neither was ever in memory
    assert files["model.onnx"] == b"model"
    assert peak < 8_000_000


def extended(name: str, **headers: str) -> tuple[tarfile.TarInfo, bytes]:
    """A member whose pax headers contradict its own."""
    info, data = member(name)
    info.pax_headers = headers
    return info, data


class Bomb:
    """A pickle that makes a folder when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


MALICIOUS = {
    "absolute": pack(member("/model.onnx"), *GOOD),
    "above": pack(member("../../model.onnx"), *GOOD),
    "inside and above": pack(member("x/../../model.onnx"), *GOOD),
    "symlink elsewhere": pack(member("link", kind=tarfile.SYMTYPE, link="/tmp"), member("link/model.onnx"), *GOOD),
    "hard link elsewhere": pack(member("link", kind=tarfile.LNKTYPE, link="/etc/passwd"), *GOOD),
    "hard link to itself": pack(member("model.onnx", kind=tarfile.LNKTYPE, link="model.onnx"), GOOD[1]),
    "device": pack(member("null", kind=tarfile.CHRTYPE), *GOOD),
    "contiguous": pack(member("model.onnx", kind=tarfile.CONTTYPE), GOOD[1]),
    "unknown kind": pack(member("model.onnx", kind=b"Z"), GOOD[1]),
    "sparse": pack(member("model.onnx", kind=tarfile.GNUTYPE_SPARSE), GOOD[1]),
    "pax name": pack(extended("harmless", path="../model.onnx"), *GOOD),
    "pax name of ours": pack(extended("harmless", path="model.onnx"), *GOOD),
    "pax size": pack(extended("model.onnx", size="99999999999"), GOOD[1]),
    "pax size below": pack(extended("model.onnx", size="-512"), GOOD[1]),
    "pax sparse": pack(extended("model.onnx", **{"GNU.sparse.map": "0,9999999999", "GNU.sparse.size": "1"}), GOOD[1]),
    "huge name": pack(member("a/" * 50_000 + "model.onnx"), *GOOD),
    "name of nothing": pack(member("\0model.onnx"), *GOOD),
    "ten thousand members": pack(*[member(f"n{number}", b"") for number in range(10_000)], *GOOD),
    "pickle": pack(member("model.onnx", pickle.dumps(Bomb())), GOOD[1]),
    "pickle for JSON": pack(GOOD[0], member("report.json", pickle.dumps(Bomb()))),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_a_malicious_archive_executes_and_writes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a malicious archive, and an empty working folder
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    # When it is opened, and its members are read as what they should be
    files: dict[str, bytes] = {}
    with contextlib.suppress(ArchiveError):
        files = unpack(MALICIOUS[name], LIMITS)
    with contextlib.suppress(ModelFileError):
        Model(files.get("model.onnx", b""))
    with contextlib.suppress(ValueError):
        json.loads(files.get("report.json", b""))
    # Then it is refused, or gives only the listed names, within their limits, and no file was written
    assert set(files) <= set(LIMITS)
    assert all(len(data) <= LIMITS[name] for name, data in files.items())
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", inside]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_is_an_archive_error_or_harmless(data: st.DataObject) -> None:
    whole = bytearray(pack(*GOOD))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        files = unpack(bytes(whole), LIMITS)
    except ArchiveError:
        return
    assert set(files) == set(LIMITS)
