"""Inspection of files: parts cut by content alone, and revalidation when the contract has changed."""

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.flights import flights
from penstock.datasets import part_writer as parts
from penstock.datasets.part_writer import PartWriter
from penstock.ledger.ledger import Upload
from penstock.pipeline.inspection import FileFinding
from tests.support.world import World, client


@pytest.fixture(scope="module")
def january() -> pl.DataFrame:
    return flights([1]).head(300)


def csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def validated(world: World, run: str) -> dict[str, Any]:
    function: ModuleType = world.load("validate")
    result: dict[str, Any] = function.handler({"run": run}, None)
    return result


def rows_of(world: World, version: str) -> pl.DataFrame:
    listed = world.store.json(world.lake.manifest(version))[1:]
    prefix = world.lake.parts()
    return pl.concat([pl.read_parquet(io.BytesIO(world.store.read(prefix + name))) for name in listed])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_the_same_rows_are_the_same_files_however_they_come(sizes: list[int]) -> None:
    # Given rows that come in batches of any size, and files of at most five rows
    import tempfile

    rows = pl.DataFrame({"a": range(sum(sizes)), "b": [f"v{i % 3}" for i in range(sum(sizes))]})
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(parts, "CELLS", 10)
        one, many = PartWriter(Path(folder) / "one"), PartWriter(Path(folder) / "many")
        one.add(rows)
        start = 0
        for size in sizes:
            many.add(rows.slice(start, size))
            start += size
        # When they are written
        files = [[(file.sha256, file.rows) for file in writer.close()] for writer in (one, many)]
        read = [pl.read_parquet(file.path) for file in many.files]
    # Then the files are the same to the byte, and hold the rows in order
    assert files[0] == files[1]
    assert pl.concat(read).equals(rows)


def test_a_large_upload_is_several_parts(world: World, january: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given files of at most 128 rows
    monkeypatch.setattr(parts, "CELLS", 128 * 16)
    # When an upload of 300 is validated
    result = validated(world, world.take("jan.csv", csv(january)))
    # Then it is three parts in one place, and all rows are there
    dataset = world.store.json(world.lake.version(result["dataset"]))
    assert sorted(part["rows"] for part in dataset["parts"]) == [44, 128, 128]
    assert len({place for part in dataset["parts"] for place in part["places"]}) == 1
    rows = rows_of(world, result["dataset"])
    assert sorted(rows["flight_id"]) == sorted(january["flight_id"])


def test_many_bad_rows_are_several_files(world: World, january: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CELLS", 100 * 18)
    validated(world, world.take("jan.csv", csv(january.with_columns(origin=pl.lit("SWF")))))
    files = [key for key in world.keys("quarantine/") if key.endswith(".parquet")]
    tables = [pl.read_parquet(io.BytesIO(world.store.read(key))) for key in files]
    assert sorted(table.height for table in tables) == [100, 100, 100]
    assert sorted(row for table in tables for row in table["_row"]) == list(range(1, 301))


def test_the_second_row_of_a_key_is_bad(world: World, january: pl.DataFrame) -> None:
    # Given five flights that are there twice
    run = world.take("jan.csv", csv(pl.concat([january, january.head(5)])))
    result = validated(world, run)
    # Then each counts once
    assert world.ledger.dataset(result["dataset"])["rows"] == 300
    assert world.store.json(world.lake.quarantine(run, "report.json"))[0]["reasons"] == {
        "flight_id: appears more than once": 5
    }


def test_a_finding_is_read_as_it_was_written(world: World, january: pl.DataFrame) -> None:
    from penstock.contract.odcs import read_contract
    from penstock.pipeline.inspection import Inspection

    event = world.upload("a.csv", csv(january))["detail"]["object"]
    upload = Upload(event["key"], event["version-id"], "e", 1, "2026-01-01T00:00:00+00:00")
    inspection = Inspection(contract=read_contract(world.root / "model"), lake=world.lake, store=world.store)
    finding = inspection.inspect("run1", upload)
    world.store.write_json("x.json", finding.record())
    assert finding.parts
    assert FileFinding.read(world.store.json("x.json")) == finding


# Under a changed contract


def change(world: World, old: str, new: str) -> None:
    path = world.root / "model" / "contract.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_stricter_contract_judges_old_data_too(world: World, january: pl.DataFrame) -> None:
    # Given a dataset, and a contract that then forbids 5 % of its rows, which it tolerates
    validated(world, world.take("a.csv", csv(january)))
    world.end_run("a")
    far = int((january["distance"] > 2500).sum())
    assert 0 < far <= 15
    change(world, "minimum: 1, maximum: 12000", "minimum: 1, maximum: 2500")
    # When a next run looks at it
    result = validated(world, world.open_run("run2"))
    # Then these rows are in quarantine, and the others are the dataset
    assert world.ledger.dataset(result["dataset"])["rows"] == 300 - far
    report = world.store.json(world.lake.quarantine("run2", "report.json"))
    assert [(item["again"], item["bad"]) for item in report] == [(True, far)]
    # And a third run reads nothing again
    world.end_run("run2")
    assert validated(world, world.open_run("run3"))["dataset"] == result["dataset"]
    assert world.keys("quarantine/flight-delay/run3/") == []


def test_a_looser_contract_accepts_rows_that_were_refused(world: World, january: pl.DataFrame) -> None:
    spoiled = january.with_columns(
        origin=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit("SWF")).otherwise(pl.col("origin"))
    )
    first = validated(world, world.take("a.csv", csv(spoiled)))
    assert world.ledger.dataset(first["dataset"])["rows"] == 291
    world.end_run("a")
    change(world, "[EWR, JFK, LGA]", "[EWR, JFK, LGA, SWF]")
    result = validated(world, world.open_run("run2"))
    assert world.ledger.dataset(result["dataset"])["rows"] == 300


def test_a_contract_that_leaves_no_old_row_ends_in_quarantine(world: World, january: pl.DataFrame) -> None:
    first = validated(world, world.take("a.csv", csv(january)))
    world.end_run("a")
    change(world, "minimum: 1, maximum: 12000", "minimum: 11000, maximum: 12000")
    result = validated(world, world.open_run("run2"))
    assert result["outcome"] == "quarantined"
    assert "the changed contract leaves no row of what was uploaded before: raw/flight-delay/a.csv" in result["reason"]
    assert [item["state"] for item in world.ledger.uploads()] == ["quarantined"]
    assert world.ledger.current_dataset() == first["dataset"]


def test_a_deleted_upload_is_checked_by_its_part(world: World, january: pl.DataFrame) -> None:
    # Given a dataset whose upload was deleted for good
    validated(world, world.take("a.csv", csv(january)))
    world.end_run("a")
    upload = world.ledger.uploads()[0]
    client("s3").delete_object(Bucket=world.lake.bucket, Key=upload["key"], VersionId=upload["version_id"])
    change(world, "minimum: 1, maximum: 12000", "minimum: 1, maximum: 2500")
    result = validated(world, world.open_run("run2"))
    accepted = january.filter(pl.col("distance") <= 2500)
    assert sorted(rows_of(world, result["dataset"])["flight_id"]) == sorted(accepted["flight_id"])
    # And the origin of the rows stays recorded
    dataset = world.store.json(world.lake.version(result["dataset"]))
    assert dataset["parts"][0]["uploads"][0].endswith(f"a.csv?versionId={upload['version_id']}")


def test_a_comment_in_the_contract_reads_nothing_again(world: World, january: pl.DataFrame) -> None:
    validated(world, world.take("a.csv", csv(january)))
    world.end_run("a")
    change(world, "description: Miles.", "description: Statute miles.")
    validated(world, world.open_run("run2"))
    assert world.keys("quarantine/flight-delay/run2/") == []


def test_a_crash_after_the_new_version_loses_no_refusal(world: World, january: pl.DataFrame) -> None:
    # Given two uploads, one of which a changed contract refuses whole, and a step that dies once the version is written
    other, jfk = january.filter(pl.col("origin") != "JFK"), january.filter(pl.col("origin") == "JFK")
    for name, rows in (("a", other), ("b", jfk)):
        validated(world, world.take(f"{name}.csv", csv(rows)))
        world.end_run(name)
    change(world, "[EWR, JFK, LGA]", "[EWR, LGA]")
    run = world.take("c.csv", csv(other.head(50)))
    function = world.load("validate")
    with pytest.MonkeyPatch.context() as patch:

        def die(*_: Any, **__: Any) -> None:
            raise RuntimeError("the function's time is up")

        patch.setattr(type(world.ledger), "settle_upload", die)
        with pytest.raises(RuntimeError):
            function.handler({"run": run}, None)
    # When it is repeated
    assert function.handler({"run": run}, None)["outcome"] == "train"
    # Then the refused one is recorded, and the report has both
    states = {item["key"].rpartition("/")[2]: item["state"] for item in world.ledger.uploads()}
    assert states == {"a.csv": "dataset", "b.csv": "quarantined", "c.csv": "dataset"}
    report = world.store.json(world.lake.quarantine(run, "report.json"))
    assert [(item["key"].rpartition("/")[2], item.get("again", False)) for item in report] == [
        ("c.csv", False), ("a.csv", True), ("b.csv", True),
    ]  # fmt: skip


def test_a_part_of_labelled_rows_outlives_its_upload(world: World, january: pl.DataFrame) -> None:
    # Given captured rows with their truth, which lack a personal column that uploads must have
    change(world, "- name: carrier\n", "- name: carrier\n        classification: personal\n")
    event = world.upload("rows.parquet", b"", folder="labelled")["detail"]["object"]
    buffer = io.BytesIO()
    january.drop("carrier").write_parquet(buffer)
    version = world.store.write(event["key"], buffer.getvalue())
    world.ledger.record_upload(Upload(event["key"], version, "e", 1, "2026-01-01T00:00:00+00:00"))
    validated(world, world.open_run("run1"))
    world.end_run("run1")
    client("s3").delete_object(Bucket=world.lake.bucket, Key=event["key"], VersionId=version)
    # When the contract allows another value and wants files of a thousand rows
    change(world, "[EWR, JFK, LGA]", "[EWR, JFK, LGA, SWF]")
    rule = "      - type: sql\n"
    change(world, rule, f"      - {{metric: rowCount, mustBeGreaterThan: 1000}}\n{rule}")
    result = validated(world, world.open_run("run2"))
    # Then its rows are still there
    assert world.ledger.dataset(result["dataset"])["rows"] == 300


def test_a_document_that_expired_is_read_from_its_newest_version(world: World, january: pl.DataFrame) -> None:
    # Given a dataset version whose file was written once more by a run that was overtaken
    result = validated(world, world.take("a.csv", csv(january)))
    world.end_run("a")
    key = world.lake.version(result["dataset"])
    document = world.ledger.dataset(result["dataset"])["document"]
    world.store.write(key, world.store.read(key))
    client("s3").delete_object(Bucket=world.lake.bucket, Key=key, VersionId=document)
    # Then the next run reads it all the same
    assert validated(world, world.open_run("run2"))["dataset"] == result["dataset"]


def test_a_file_that_came_from_many_uploads_fits_the_ledger(world: World) -> None:
    from penstock.datasets.version import Dataset, Part

    uploads = tuple(
        f"s3://{world.lake.bucket}/raw/flight-delay/heartbeat-{i:06}.csv?versionId={i:032}" for i in range(4000)
    )
    dataset = Dataset("flight-delay", "c", (Part("a" * 64, 10, 10, uploads),))
    world.ledger.put_dataset(dataset.version, parts=dataset.ledger_parts(), rows=10)
    assert len(world.ledger.dataset(dataset.version)["parts"][0]["uploads"]) == 5


def test_features_that_cannot_be_put_change_no_upload_s_ending(world: World, january: pl.DataFrame) -> None:
    # Given a feature store that refuses
    function = world.load("validate")
    run = world.take("a.csv", csv(january))

    class Refuses:
        def ingest(self, _: object) -> None:
            raise RuntimeError("throttled")

    from dataclasses import replace

    with pytest.raises(RuntimeError):
        replace(function.validation, features=Refuses()).run(run, "2026-01-01")
    # Then the upload is in the dataset, and is not given back when the run ends
    world.end_run(run, "failed")
    assert [item["state"] for item in world.ledger.uploads()] == ["dataset"]
    assert world.ledger.waiting() == []
