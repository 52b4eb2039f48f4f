"""`penstock push FOLDER`: one upload of all its files, complete or not at all."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from penstock.readers.open_table import ENDINGS
from tests.support.command import URL, Command
from tests.support.world import BUCKET, MODEL, World, client

RAW = f"raw/{MODEL}/"
Hook = Callable[[str, Callable[[str], None]], None]
KINDS = ", ".join(ENDINGS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three data files, one of them in a subfolder, and files that are left out."""
    root = tmp_path / "my flights"
    for name in ("a.csv", "b.jsonl", "2013/07/c.parquet", "_SUCCESS", ".DS_Store", "_logs/x.csv", "2013/.hidden/y.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return root


@pytest.fixture
def before_call(stage: World) -> Hook:
    """Calls a function with the key before each call of an S3 operation."""
    session: Any = boto3.DEFAULT_SESSION

    def register(operation: str, function: Callable[[str], None]) -> None:
        def call(params: dict[str, Any], **_: Any) -> None:
            function(params["Key"])

        session.events.register(f"provide-client-params.s3.{operation}", call)

    return register


def prefix(stage: World) -> str:
    """The prefix of the only folder."""
    (name,) = {key.split("/")[2] for key in stage.keys(RAW)}
    return f"{RAW}{name}/"


def versions(stage: World) -> list[str]:
    """The key of every version of every object."""
    page = client("s3").list_object_versions(Bucket=BUCKET, Prefix=RAW)
    return [item["Key"] for item in page.get("Versions", [])]


def test_success_is_written_after_all_files(stage: World, command: Command, folder: Path, before_call: Hook) -> None:
    # Given a record of the objects that are put
    keys: list[str] = []
    before_call("PutObject", keys.append)
    # When a folder is pushed
    result = command("push", str(folder))
    # Then its data has one prefix, named by folder and content, and the marker was written last
    place = prefix(stage)
    assert re.fullmatch(rf"{RAW}my flights-[0-9a-f]{{12}}/", place)
    names = ["2013/07/c.parquet", "_SUCCESS", "a.csv", "b.jsonl"]
    assert stage.keys(RAW) == [place + name for name in names]
    assert keys[-1] == f"{place}_SUCCESS"
    assert stage.store.read(f"{place}2013/07/c.parquet") == b"content of 2013/07/c.parquet"
    assert result.out == f"uploaded s3://{BUCKET}/{place} (3 files)\n"


def test_the_upload_of_a_folder_as_json(stage: World, command: Command, folder: Path) -> None:
    (upload,) = command("push", str(folder), "--json").json
    assert (upload["files"], upload["sent"], upload["key"]) == (3, 3, f"{prefix(stage)}_SUCCESS")
    assert upload["bytes"] == sum((folder / name).stat().st_size for name in ("a.csv", "b.jsonl", "2013/07/c.parquet"))
    head = client("s3").head_object(Bucket=BUCKET, Key=upload["key"])
    assert upload["version_id"] == head["VersionId"]


def test_files_and_folders_are_pushed_together(stage: World, command: Command, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text("x\n1\n")
    uploads = command("push", str(folder), str(file), "--json").json
    assert [item["key"].split("/")[2][:10] for item in uploads] == ["one.csv", "my flights"]


def test_the_working_folder_is_pushed_under_its_name(
    stage: World, command: Command, folder: Path, project: Path
) -> None:
    inside = project / "sent"
    folder.rename(inside)
    os.chdir(inside)
    assert "sent-" in command("push", ".").out


def test_an_unchanged_folder_is_not_sent_again(stage: World, command: Command, folder: Path) -> None:
    command("push", str(folder))
    # When it is pushed again, with other times on its files
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    result = command("push", str(folder))
    # Then no file is sent twice, but `_SUCCESS` is, which starts a run
    marker = f"{prefix(stage)}_SUCCESS"
    assert sorted(versions(stage)) == sorted([*stage.keys(RAW), marker])
    assert result.out.endswith("(3 files, all in the lake already: only _SUCCESS was sent again)\n")


def test_a_file_that_is_sent_in_parts(stage: World, command: Command, folder: Path) -> None:
    # Given a file larger than one call takes
    content = os.urandom(1 << 20) * 9
    (folder / "large.parquet").write_bytes(content)
    # When it is pushed twice
    outputs = [command("push", str(folder)).out for _ in range(2)]
    # Then it has arrived unchanged, once
    place = prefix(stage)
    assert stage.store.read(f"{place}large.parquet") == content
    assert versions(stage).count(f"{place}large.parquet") == 1
    assert ["only _SUCCESS was sent again" in text for text in outputs] == [False, True]


def test_other_content_is_another_upload(stage: World, command: Command, folder: Path) -> None:
    # Given a push, after which one file is removed, one is added and one is changed
    command("push", str(folder))
    first = prefix(stage)
    (folder / "a.csv").unlink()
    (folder / "b.jsonl").write_text("other")
    (folder / "d.csv").write_text("new")
    # When the folder is pushed again
    (upload,) = command("push", str(folder), "--json").json
    # Then the second prefix has nothing of the first push
    second = upload["key"].removesuffix("_SUCCESS")
    assert second != first
    assert [key.removeprefix(second) for key in stage.keys(second)] == [
        "2013/07/c.parquet", "_SUCCESS", "b.jsonl", "d.csv",
    ]  # fmt: skip


def test_a_renamed_file_is_other_content(stage: World, command: Command, folder: Path) -> None:
    command("push", str(folder))
    (folder / "a.csv").rename(folder / "z.csv")
    command("push", str(folder))
    assert len({key.split("/")[2] for key in stage.keys(RAW)}) == 2


@pytest.mark.parametrize(
    ("name", "harm", "code"),
    [
        ("c.parquet", EndpointConnectionError(endpoint_url=URL), 3),
        ("c.parquet", SystemExit("a thread that exits"), 2),
        ("_SUCCESS", KeyboardInterrupt(), 130),
    ],
)
def test_an_interrupted_push_starts_no_run_and_is_completed_by_the_next(
    stage: World, command: Command, folder: Path, before_call: Hook, name: str, harm: BaseException, code: int
) -> None:
    # Given an error before one of the calls of a push
    failing = True

    def fail(key: str) -> None:
        if failing and key.endswith(name):
            raise harm

    before_call("PutObject", fail)
    result = command("push", str(folder))
    assert result.code == code
    assert "Traceback" not in result.err
    assert not any(key.endswith("_SUCCESS") for key in stage.keys(RAW))
    # When the folder is pushed again
    failing = False
    result = command("push", str(folder))
    # Then all of it is there, under the same prefix
    assert (result.code, len(stage.keys(prefix(stage)))) == (0, 4)


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_folder_that_changes_during_the_upload_starts_no_run(
    stage: World, command: Command, folder: Path, before_call: Hook, harm: str
) -> None:
    # Given a program that still writes to the folder
    def write(key: str) -> None:
        path = folder / "b.jsonl"
        if key.endswith("a.csv"):
            path.write_text("more of it") if harm == "change" else path.unlink(missing_ok=True)

    before_call("PutObject", write)
    # When it is pushed
    result = command("push", str(folder))
    # Then no run takes it, and the file is named
    assert result.code == 2
    assert f"{folder / 'b.jsonl'} {'changed' if harm == 'change' else 'was removed'} while it was sent" in result.err
    assert "Traceback" not in result.err
    assert not any(key.endswith("_SUCCESS") for key in stage.keys(RAW))


@pytest.mark.parametrize("harm", ["replace", "remove"])
def test_a_folder_whose_objects_changed_is_sent_again(stage: World, command: Command, folder: Path, harm: str) -> None:
    # Given a pushed folder of which an object was replaced by one as large, or removed
    command("push", str(folder))
    key = f"{prefix(stage)}a.csv"
    if harm == "replace":
        client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x" * len("content of a.csv"))
    else:
        client("s3").delete_object(Bucket=BUCKET, Key=key)
    # When it is pushed again
    (upload,) = command("push", str(folder), "--json").json
    # Then it is sent again, and `_SUCCESS` lists the new objects
    assert (upload["sent"], stage.store.read(key)) == (3, b"content of a.csv")
    objects = client("s3").list_objects_v2(Bucket=BUCKET, Prefix=upload["key"].removesuffix("_SUCCESS"))["Contents"]
    tags = {item["Key"].rpartition("/")[2]: item["ETag"] for item in objects}
    listing = json.loads(stage.store.read(upload["key"]))
    assert listing == {"2013/07/c.parquet": tags["c.parquet"], "a.csv": tags["a.csv"], "b.jsonl": tags["b.jsonl"]}


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ([], (), "holds no files to push (names that begin with . or _ are left out)"),
        (["_SUCCESS", ".x.csv"], (), "holds no files to push"),
        (
            ["a.csv", "2013/b.txt"],
            (),
            f"b.txt ends in none of {KINDS}: nothing was sent",
        ),
        (
            ["a.txt", "b.txt", "c"],
            (),
            f"a.txt ends in none of {KINDS}, and 2 more files: nothing was sent",
        ),
        (["a.csv"], ("--labels",), "is a folder, and labels are pushed file by file"),
        (["x" * 200 + "/" + "/".join(["y" * 200] * 4) + "/" + "z" * 100 + ".csv"], (), "the name is too long for S3"),
    ],
)
def test_an_unsuitable_folder_is_refused(
    stage: World, command: Command, tmp_path: Path, files: list[str], options: tuple[str, ...], words: str
) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    good = tmp_path / "good.csv"
    good.write_text("x")
    result = command("push", str(folder), *([] if "too long" in words else [str(good)]), *options)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert stage.keys("") == []


def test_a_link_to_a_folder_is_refused(stage: World, command: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    result = command("push", str(folder))
    assert result.code == 2
    assert f"{folder / 'more'} is a link to a folder" in result.err


def test_a_file_name_that_is_not_utf_8_is_refused(stage: World, command: Command, folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv")).write_text("x")
    result = command("push", str(folder))
    assert result.code == 2
    assert "holds a file whose name is not UTF-8" in result.err


def test_a_broken_link_is_refused(stage: World, command: Command, folder: Path) -> None:
    (folder / "gone.csv").symlink_to(folder / "nowhere.csv")
    result = command("push", str(folder))
    assert result.code == 2
    assert f"{folder / 'gone.csv'} cannot be read: No such file or directory" in result.err
    assert stage.keys("") == []
