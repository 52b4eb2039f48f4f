"""`penstock data`: list, show, compare and restore dataset versions."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from penstock.audit.dataset_diff import compare
from penstock.aws.s3_store import sha256
from penstock.cli.app import main
from penstock.cli.target import Target
from penstock.datasets.version import DAY, Dataset, Part
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.spec.model import MODELS
from tests.support.world import BUCKET, FLIGHT_DELAY, MODEL, TABLE, World

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs the command against a stage in moto's AWS."""
    root = tmp_path / "project"
    shutil.copytree(FLIGHT_DELAY, root / MODELS / MODEL)
    (root / "cdk.json").write_text("{}")
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(Target, "enter", lambda _: None)
    monkeypatch.setattr(Target, "ledger", property(lambda _: Ledger(TABLE, MODEL)))
    monkeypatch.setattr(Target, "lake", property(lambda _: Lake(BUCKET, MODEL)))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["penstock", "data", *words])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def table(first: int, rows: int, **also: Any) -> pl.DataFrame:
    numbers = pl.int_range(first, first + rows, eager=True)
    return pl.DataFrame({"id": numbers.cast(pl.String), "amount": numbers % 7 * 1.0}).with_columns(**also)


def write_part(world: World, rows: pl.DataFrame, upload: str) -> Part:
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    data = buffer.getvalue()
    world.store.write(world.lake.part(sha256(data)), data)
    return Part(sha256(data), rows.height, len(data), (f"s3://{BUCKET}/raw/{MODEL}/{upload}?versionId=v1",), (upload,))


def write_version(world: World, dataset: Dataset, at: str) -> Dataset:
    world.store.write(world.lake.version(dataset.version), dataset.document().encode())
    parts = [{"sha256": item.sha256} for item in dataset.parts]
    world.ledger.put_dataset(dataset.version, rows=dataset.rows, parts=parts, at=at)
    return dataset


@pytest.fixture
def versions(world: World) -> tuple[Dataset, Dataset]:
    """A version with one part, and the next with a second part of other amounts and one more column."""
    first = write_part(world, table(0, 300), "a.csv")
    second = write_part(world, table(300, 300, amount=pl.lit(50.0), colour=pl.lit("red")), "b.csv")
    one = write_version(world, Dataset(MODEL, "c1", (first,)), "2026-01-01T00:00:00.000+00:00")
    two = write_version(world, Dataset(MODEL, "c2", (first, second)), "2026-01-02T00:00:00.000+00:00")
    return one, two


def test_without_versions_there_is_a_sentence(command: Command) -> None:
    assert "no dataset versions yet" in command("list")[1]
    code, _, error = command("show", "current")
    assert (code, "upload some data first" in error) == (1, True)


def test_versions_are_listed_newest_first(command: Command, versions: tuple[Dataset, Dataset]) -> None:
    one, two = versions
    code, out, _ = command("list")
    assert code == 0
    assert f"{two.version[:12]} (current)" in out
    items = json.loads(command("list", "--json")[1])
    assert [(item["version"], item["rows"], item["parts"], item["current"]) for item in items] == [
        (two.version, 600, 2, True),
        (one.version, 300, 1, False),
    ]


def test_a_version_is_shown_with_its_uploads(command: Command, versions: tuple[Dataset, Dataset]) -> None:
    code, out, _ = command("show", "current")
    assert code == 0
    assert f"s3://{BUCKET}/raw/{MODEL}/b.csv?versionId=v1" in out
    document = json.loads(command("show", versions[0].version[:10], "--json")[1])
    assert [item["rows"] for item in document["parts"]] == [300]


def test_the_boundaries_are_shown_as_times(world: World, command: Command) -> None:
    first = write_part(world, table(0, 10), "a.csv")
    write_version(world, Dataset(MODEL, "c1", (first,), since=DAY, holdout_from=2 * DAY), "2026-01-01")
    out = command("show", "current")[1]
    assert "rows from 1970-01-02T00:00:00+00:00 on" in out
    assert "holdout from 1970-01-03T00:00:00+00:00 on" in out


def test_two_versions_are_compared(command: Command, versions: tuple[Dataset, Dataset]) -> None:
    one, two = versions
    # When the versions are compared
    code, out, _ = command("diff", one.version[:12], two.version[:12])
    # Then rows, parts, columns and distributions are printed
    assert code == 0
    assert "+300" in out
    assert "columns added: colour" in out
    document = json.loads(command("diff", one.version, "--json")[1])
    assert document["parts"] == {"added": [two.parts[1].sha256], "removed": [], "kept": 1}
    assert document["rows"] == {"a": 300, "b": 600, "change": 300}
    # And the row key is not compared
    assert [item["column"] for item in document["distributions"]] == ["amount"]
    assert document["distributions"][0]["psi"] > document["distributions"][0]["noise"]


def test_a_version_does_not_differ_from_itself(world: World, versions: tuple[Dataset, Dataset]) -> None:
    comparison = compare(versions[1], versions[1], lambda name: world.store.read(world.lake.part(name)))
    assert {item["psi"] for item in comparison["distributions"]} == {0.0}
    assert comparison["columns"] == {"added": [], "removed": [], "retyped": []}


def test_a_column_of_another_type_is_reported(world: World, versions: tuple[Dataset, Dataset]) -> None:
    other = Dataset(MODEL, "c1", (write_part(world, table(0, 20, amount=pl.lit("x")), "c.csv"),))
    comparison = compare(versions[0], other, lambda name: world.store.read(world.lake.part(name)))
    assert comparison["columns"]["retyped"] == ["amount"]


def test_a_version_is_restored_byte_for_byte(
    world: World, command: Command, versions: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    dataset, folder = versions[0], tmp_path / "restored"
    # When an older version is restored
    code, out, _ = command("restore", dataset.version[:8], "--to", str(folder))
    # Then the folder has its parts and its document unchanged
    assert (code, "300 rows in 1 parts, digests checked" in out) == (0, True)
    name = f"{dataset.parts[0].sha256}.parquet"
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, "dataset.json"])
    assert sha256((folder / name).read_bytes()) == dataset.parts[0].sha256
    assert Dataset.read((folder / "dataset.json").read_bytes()) == dataset
    # And a folder with content is refused
    code, _, error = command("restore", dataset.version[:8], "--to", str(folder))
    assert (code, "is not an empty folder" in error) == (2, True)


def test_a_part_that_was_changed_is_not_restored(
    world: World, command: Command, versions: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    world.store.write(world.lake.part(versions[0].parts[0].sha256), b"other")
    code, _, error = command("restore", versions[0].version, "--to", str(tmp_path / "restored"))
    assert (code, "the object under its key has the digest" in error) == (1, True)


def test_an_unknown_or_ambiguous_name_is_refused(command: Command, versions: tuple[Dataset, Dataset]) -> None:
    code, _, error = command("show", "nope")
    assert (code, "see `penstock data list`" in error) == (1, True)
    code, _, error = command("show", "")
    assert (code, "2 dataset versions begin with ''" in error) == (2, True)
