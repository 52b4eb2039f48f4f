"""`penstock push FOLDER`: one upload of all its files, whole or not at all."""

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
from tests.support.world import BUCKET, MODEL, World, client
from tests.unit.cli.test_cli import URL, Command, command, project, stack, stage

__all__ = ["command", "project", "stack", "stage"]
RAW = f"raw/{MODEL}/"
Hook = Callable[[str, Callable[[str], None]], None]
KINDS = ", ".join(ENDINGS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of data, one of them deeper, and what is left out."""
    made = tmp_path / "my flights"
    for name in ("a.csv", "b.jsonl", "2013/07/c.parquet", "_SUCCESS", ".DS_Store", "_logs/x.csv", "2013/.hidden/y.txt"):
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return made


@pytest.fixture
def before(stage: World) -> Hook:
    """Calls a function with the key before each call of an S3 operation."""
    session: Any = boto3.DEFAULT_SESSION

    def register(operation: str, function: Callable[[str], None]) -> None:
        def told(params: dict[str, Any], **_: Any) -> None:
            function(params["Key"])

        session.events.register(f"provide-client-params.s3.{operation}", told)

    return register


def prefix(stage: World) -> str:
    """The one folder there is."""
    (found,) = {key.split("/")[2] for key in stage.keys(RAW)}
    return f"{RAW}{found}/"


def versions(stage: World) -> list[str]:
    """The key of every version of every object."""
    listed = client("s3").list_object_versions(Bucket=BUCKET, Prefix=RAW)
    return [item["Key"] for item in listed.get("Versions", [])]


def test_a_folder_is_closed_when_all_its_files_are_there(
    stage: World, command: Command, folder: Path, before: Hook
) -> None:
    # Given somebody who watches what is put
    put: list[str] = []
    before("PutObject", put.append)
    # When a folder is pushed
    said = command("push", str(folder))
    # Then its data is in one place named by folder and content, and the marker came last
    place = prefix(stage)
    assert re.fullmatch(rf"{RAW}my flights-[0-9a-f]{{12}}/", place)
    names = ["2013/07/c.parquet", "_SUCCESS", "a.csv", "b.jsonl"]
    assert stage.keys(RAW) == [place + name for name in names]
    assert put[-1] == f"{place}_SUCCESS"
    assert stage.store.read(f"{place}2013/07/c.parquet") == b"content of 2013/07/c.parquet"
    assert said.out == f"uploaded s3://{BUCKET}/{place} (3 files)\n"


def test_what_is_said_of_a_folder_as_json(stage: World, command: Command, folder: Path) -> None:
    (sent,) = command("push", str(folder), "--json").json
    assert (sent["files"], sent["sent"], sent["key"]) == (3, 3, f"{prefix(stage)}_SUCCESS")
    assert sent["bytes"] == sum((folder / name).stat().st_size for name in ("a.csv", "b.jsonl", "2013/07/c.parquet"))
    head = client("s3").head_object(Bucket=BUCKET, Key=sent["key"])
    assert sent["version_id"] == head["VersionId"]


def test_files_and_folders_go_together(stage: World, command: Command, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text("x\n1\n")
    sent = command("push", str(folder), str(file), "--json").json
    assert [item["key"].split("/")[2][:10] for item in sent] == ["one.csv", "my flights"]


def test_the_folder_that_one_stands_in_has_its_own_name(
    stage: World, command: Command, folder: Path, project: Path
) -> None:
    inside = project / "sent"
    folder.rename(inside)
    os.chdir(inside)
    assert "sent-" in command("push", ".").out


def test_the_same_folder_again_is_only_closed_again(stage: World, command: Command, folder: Path) -> None:
    command("push", str(folder))
    # When it is pushed again, from elsewhere and with other times on its files
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    said = command("push", str(folder))
    # Then nothing of it is sent twice, and there is something for a run to look at
    marker = f"{prefix(stage)}_SUCCESS"
    assert sorted(versions(stage)) == sorted([*stage.keys(RAW), marker])
    assert said.out.endswith("(3 files, all in the lake already: only _SUCCESS was sent again)\n")


def test_a_file_that_goes_in_pieces(stage: World, command: Command, folder: Path) -> None:
    # Given a file larger than one call takes
    content = os.urandom(1 << 20) * 9
    (folder / "large.parquet").write_bytes(content)
    # When it is pushed twice
    said = [command("push", str(folder)).out for _ in range(2)]
    # Then it has arrived as it was, once
    place = prefix(stage)
    assert stage.store.read(f"{place}large.parquet") == content
    assert versions(stage).count(f"{place}large.parquet") == 1
    assert ["only _SUCCESS was sent again" in text for text in said] == [False, True]


def test_other_content_is_another_upload(stage: World, command: Command, folder: Path) -> None:
    # Given a push, after which a file went, one came and one is another
    command("push", str(folder))
    first = prefix(stage)
    (folder / "a.csv").unlink()
    (folder / "b.jsonl").write_text("other")
    (folder / "d.csv").write_text("new")
    # When the folder is pushed again
    (sent,) = command("push", str(folder), "--json").json
    # Then nothing of the first push lies where the second one is
    second = sent["key"].removesuffix("_SUCCESS")
    assert second != first
    assert [key.removeprefix(second) for key in stage.keys(second)] == [
        "2013/07/c.parquet", "_SUCCESS", "b.jsonl", "d.csv",
    ]  # fmt: skip


def test_a_file_under_another_name_is_other_content(stage: World, command: Command, folder: Path) -> None:
    command("push", str(folder))
    (folder / "a.csv").rename(folder / "z.csv")
    command("push", str(folder))
    assert len({key.split("/")[2] for key in stage.keys(RAW)}) == 2


@pytest.mark.parametrize(
    ("name", "harm", "code"),
    [
        ("c.parquet", EndpointConnectionError(endpoint_url=URL), 3),
        ("c.parquet", SystemExit("a thread that goes without a word"), 2),
        ("_SUCCESS", KeyboardInterrupt(), 130),
    ],
)
def test_a_push_that_died_leaves_nothing_to_take_and_is_finished_by_the_next(
    stage: World, command: Command, folder: Path, before: Hook, name: str, harm: BaseException, code: int
) -> None:
    # Given something that ends the push before one of its calls
    dead = True

    def die(key: str) -> None:
        if dead and key.endswith(name):
            raise harm

    before("PutObject", die)
    said = command("push", str(folder))
    assert said.code == code
    assert "Traceback" not in said.err
    assert not any(key.endswith("_SUCCESS") for key in stage.keys(RAW))
    # When the folder is pushed again
    dead = False
    said = command("push", str(folder))
    # Then all of it is there, in the same place
    assert (said.code, len(stage.keys(prefix(stage)))) == (0, 4)


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_file_that_changes_while_it_is_sent_leaves_the_folder_open(
    stage: World, command: Command, folder: Path, before: Hook, harm: str
) -> None:
    # Given somebody who still writes into the folder
    def write(key: str) -> None:
        path = folder / "b.jsonl"
        if key.endswith("a.csv"):
            path.write_text("more of it") if harm == "change" else path.unlink(missing_ok=True)

    before("PutObject", write)
    # When it is pushed
    said = command("push", str(folder))
    # Then no run will take it, and the file is named
    assert said.code == 2
    assert f"{folder / 'b.jsonl'} {'changed' if harm == 'change' else 'was removed'} while it was sent" in said.err
    assert "Traceback" not in said.err
    assert not any(key.endswith("_SUCCESS") for key in stage.keys(RAW))


@pytest.mark.parametrize("harm", ["replace", "remove"])
def test_a_folder_that_is_not_what_was_closed_is_sent_again(
    stage: World, command: Command, folder: Path, harm: str
) -> None:
    # Given a pushed folder of which an object was replaced by one as large, or removed
    command("push", str(folder))
    key = f"{prefix(stage)}a.csv"
    if harm == "replace":
        client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x" * len("content of a.csv"))
    else:
        client("s3").delete_object(Bucket=BUCKET, Key=key)
    # When it is pushed again
    (sent,) = command("push", str(folder), "--json").json
    # Then it is sent again, and what it says of itself is so
    assert (sent["sent"], stage.store.read(key)) == (3, b"content of a.csv")
    listed = client("s3").list_objects_v2(Bucket=BUCKET, Prefix=sent["key"].removesuffix("_SUCCESS"))["Contents"]
    tags = {item["Key"].rpartition("/")[2]: item["ETag"] for item in listed}
    said = json.loads(stage.store.read(sent["key"]))
    assert said == {"2013/07/c.parquet": tags["c.parquet"], "a.csv": tags["a.csv"], "b.jsonl": tags["b.jsonl"]}


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
def test_a_folder_that_cannot_be_pushed(
    stage: World, command: Command, tmp_path: Path, files: list[str], options: tuple[str, ...], words: str
) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    good = tmp_path / "good.csv"
    good.write_text("x")
    said = command("push", str(folder), *([] if "too long" in words else [str(good)]), *options)
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err
    assert stage.keys("") == []


def test_a_link_to_a_folder_is_not_passed_over(stage: World, command: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    said = command("push", str(folder))
    assert said.code == 2
    assert f"{folder / 'more'} is a link to a folder" in said.err


def test_a_file_whose_name_is_no_text(stage: World, command: Command, folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv")).write_text("x")
    said = command("push", str(folder))
    assert said.code == 2
    assert "holds a file whose name is not UTF-8" in said.err


def test_a_link_to_nothing_is_a_sentence(stage: World, command: Command, folder: Path) -> None:
    (folder / "gone.csv").symlink_to(folder / "nowhere.csv")
    said = command("push", str(folder))
    assert said.code == 2
    assert f"{folder / 'gone.csv'} cannot be read: No such file or directory" in said.err
    assert stage.keys("") == []
