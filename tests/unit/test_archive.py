"""Archives that nobody should trust."""

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.archive import ArchiveError, unpack

WANTED = {"model.onnx": 100, "report.json": 100}


def member(
    name: str, data: bytes = b"data", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return info, data


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


GOOD = (member("model.onnx", b"model"), member("report.json", b"{}"))


def test_the_wanted_members_and_no_others() -> None:
    data = packed(*GOOD, member("more.txt"), member("folder/model.onnx", b"other"))
    assert unpack(data, WANTED) == {"model.onnx": b"model", "report.json": b"{}"}


def test_a_leading_dot_is_how_sagemaker_packs() -> None:
    assert unpack(packed(member("./model.onnx"), member("./report.json")), WANTED)["model.onnx"] == b"data"


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
def test_what_no_training_job_leaves_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an archive with something else in it, and an empty working folder
    monkeypatch.chdir(tmp_path)
    # When it is opened
    with pytest.raises(ArchiveError) as caught:
        unpack(packed(*members), WANTED)
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
        unpack(damage(packed(*GOOD)), WANTED)


def test_a_header_that_claims_more_than_there_is() -> None:
    # Given a member of 100 bytes whose archive ends after 5
    info, _ = member("model.onnx", b"x" * 100)
    raw = info.tobuf() + b"x" * 5
    with pytest.raises(ArchiveError):
        unpack(gzip.compress(raw), WANTED)


def test_a_bomb_is_refused_by_its_header_and_takes_no_memory() -> None:
    # Given 64 MB of zeros in an archive of some 60 KB, under a wanted name and under another
    zeros = bytes(64_000_000)
    wanted, other = packed(member("model.onnx", zeros)), packed(member("other", zeros), *GOOD)
    del zeros
    # When they are opened
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="64,000,000 bytes"):
        unpack(wanted, WANTED)
    found = unpack(other, WANTED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then neither was ever held
    assert found["model.onnx"] == b"model"
    assert peak < 8_000_000


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_damage_is_an_archive_error_or_none(data: st.DataObject) -> None:
    whole = bytearray(packed(*GOOD))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack(bytes(whole), WANTED)
    except ArchiveError:
        return
    assert set(found) == set(WANTED)
