"""Validation, the first step of a run, on real flights."""

import io
import json
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from demo.flights import flights
from tests.support.world import BUCKET, CODE, World


@pytest.fixture(scope="module")
def january() -> pl.DataFrame:
    return flights([1]).head(400)


@pytest.fixture
def function(world: World) -> ModuleType:
    return world.load("validate")


def csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def spoil(table: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Replace the airport of the first rows by one that is not New York's."""
    origin = pl.when(pl.int_range(pl.len()) < rows).then(pl.lit("SWF")).otherwise(pl.col("origin"))
    return table.with_columns(origin.alias("origin"))


def validate(function: ModuleType, run: str) -> dict[str, Any]:
    result: dict[str, Any] = function.handler({"run": run}, None)
    return result


def states(world: World) -> dict[str, str]:
    return {item["key"].rpartition("/")[2]: item["state"] for item in world.ledger.uploads()}


def test_a_good_file_becomes_a_dataset_version_and_a_job(
    world: World, function: ModuleType, january: pl.DataFrame
) -> None:
    # Given a run that took a good file
    run = world.take("jan.csv", csv(january))
    # When it is validated
    result = validate(function, run)
    # Then there is a version of one part with all rows, and the job has the places of its input
    version = world.ledger.current_dataset()
    assert version is not None
    assert (result["outcome"], result["dataset"]) == ("train", version)
    assert result["reason"] == f"dataset {version[:12]} of 400 rows in 1 parts"
    job = result["job"]
    assert job["name"] == f"dev-flight-delay-{run}"
    assert job["dataset"] == f"s3://{BUCKET}/datasets/flight-delay/manifests/{version}.json"
    assert job["input"] == f"s3://{BUCKET}/runs/flight-delay/{run}/input/"
    # And the files are there
    dataset = world.ledger.dataset(version)
    part = dataset["parts"][0]["sha256"]
    manifest = world.store.json(world.lake.manifest(version))
    assert manifest == [{"prefix": f"s3://{BUCKET}/datasets/flight-delay/parts/"}, f"{part}.parquet"]
    rows = pl.read_parquet(io.BytesIO(world.store.read(world.lake.part(part))))
    assert rows["flight_id"].to_list() == january["flight_id"].to_list()
    assert world.store.json(world.lake.run_input(run, "request.json")) == {
        "model": "flight-delay", "run": run, "dataset": version, "parts": [part], "champion": None,
    }  # fmt: skip
    # And the ledger says where the upload ended
    assert states(world) == {"jan.csv": "dataset"}
    step = world.ledger.run(run)["steps"]["validate"]
    assert (step["outcome"], step["uploads"][0]["rows"], step["uploads"][0]["bad"]) == ("train", 400, 0)
    assert dataset["parts"][0]["uploads"][0].startswith(f"s3://{BUCKET}/raw/flight-delay/jan.csv?versionId=")


def test_bad_rows_under_the_tolerance_go_to_quarantine(
    world: World, function: ModuleType, january: pl.DataFrame
) -> None:
    # Given 20 bad rows of 400: the 5 % that the contract tolerates
    run = world.take("jan.csv", csv(spoil(january, 20)))
    # When it is validated
    result = validate(function, run)
    # Then the good rows are trained on, and the bad ones are in quarantine with their reason
    assert result["outcome"] == "train"
    assert world.ledger.dataset(result["dataset"])["rows"] == 380
    files = world.keys("quarantine/")
    assert len(files) == 2
    bad = pl.read_parquet(io.BytesIO(world.store.read(next(key for key in files if key.endswith(".parquet")))))
    assert bad.height == 20
    assert set(bad["_reasons"]) == {"origin: not one of EWR, JFK, LGA"}
    assert bad["_row"].to_list() == list(range(1, 21))
    report = world.store.json(world.lake.quarantine(run, "report.json"))
    assert report[0]["reasons"] == {"origin: not one of EWR, JFK, LGA": 20}


def test_a_file_beyond_the_tolerance_is_quarantined_as_a_whole(
    world: World, function: ModuleType, january: pl.DataFrame
) -> None:
    run = world.take("jan.csv", csv(spoil(january, 21)))
    result = validate(function, run)
    assert (result["outcome"], result["job"], result["dataset"]) == ("quarantined", None, None)
    assert "21 of 400 rows are bad (5.2%), the contract tolerates 5.0%" in result["reason"]
    assert "21 × origin: not one of EWR, JFK, LGA" in result["reason"]
    assert world.ledger.current_dataset() is None
    assert world.keys("datasets/") == []
    assert states(world) == {"jan.csv": "quarantined"}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.xlsx", b"PK", "'a.xlsx' does not end in .csv, .csv.gz"),
        ("a.parquet", b"id,x\n1,2\n", "the content is plain text, not Parquet"),
        ("a.csv", b"flight_id,late\na,true\n", "the column 'departs_at' is missing"),
    ],
)
def test_a_file_that_is_no_table_is_quarantined_with_its_reason(
    world: World, function: ModuleType, name: str, data: bytes, words: str
) -> None:
    result = validate(function, world.take(name, data))
    assert result["outcome"] == "quarantined"
    assert words in result["reason"]
    assert f"raw/flight-delay/{name}" in result["reason"]


def test_a_deleted_upload_is_quarantined(world: World, function: ModuleType) -> None:
    from tests.support.world import client

    run = world.take("a.csv", b"x")
    upload = world.ledger.uploads()[0]
    client("s3").delete_object(Bucket=BUCKET, Key=upload["key"], VersionId=upload["version_id"])
    result = validate(function, run)
    assert result["outcome"] == "quarantined"
    assert "is not there" in result["reason"]


def test_a_bad_file_does_not_block_a_good_one(world: World, function: ModuleType, january: pl.DataFrame) -> None:
    # Given a run that took a good and an unreadable file
    world.upload("bad.csv", b"")
    event = world.upload("bad.csv", b"\xff")["detail"]["object"]
    from penstock.ledger.ledger import Upload

    world.ledger.record_upload(Upload(event["key"], event["version-id"], event["etag"], 1, "2026-01-01"))
    run = world.take("jan.csv", csv(january))
    # When it is validated
    result = validate(function, run)
    # Then the run goes on with the good one
    assert result["outcome"] == "train"
    assert states(world) == {"jan.csv": "dataset", "bad.csv": "quarantined"}


def test_the_same_file_again_is_skipped_naming_the_run(
    world: World, function: ModuleType, january: pl.DataFrame
) -> None:
    # Given a run that trained on a file
    first = world.take("jan.csv", csv(january))
    dataset = validate(function, first)["dataset"]
    world.ledger.note_trained(dataset, CODE, first)
    world.end_run(first)
    # When the same rows come under another name
    second = world.take("again.csv", csv(january))
    result = validate(function, second)
    # Then it is the same version, and nothing is trained
    assert (result["outcome"], result["dataset"], result["same_as"]) == ("skipped", dataset, first)
    assert result["reason"] == (f"same data, code and parameters as run {first}: nothing would come out differently")
    assert states(world)["again.csv"] == "dataset"


def test_other_code_on_the_same_data_is_trained(world: World, function: ModuleType, january: pl.DataFrame) -> None:
    first = world.take("jan.csv", csv(january))
    dataset = validate(function, first)["dataset"]
    world.ledger.note_trained(dataset, "other code", first)
    world.end_run(first)
    assert validate(function, world.open_run("run2"))["outcome"] == "train"


def test_a_second_file_is_appended(world: World, function: ModuleType, january: pl.DataFrame) -> None:
    validate(function, world.take("a.csv", csv(january.head(100))))
    world.end_run("a")
    result = validate(function, world.take("b.csv", csv(january.tail(100))))
    dataset = world.ledger.dataset(result["dataset"])
    assert (dataset["rows"], len(dataset["parts"])) == (200, 2)


def test_replace_takes_the_new_file_alone(world: World, january: pl.DataFrame) -> None:
    path = world.root / "model" / "model.yaml"
    path.write_text(path.read_text().replace("dataset: append", "dataset: replace"))
    function = world.load("validate")
    validate(function, world.take("a.csv", csv(january.head(100))))
    world.end_run("a")
    result = validate(function, world.take("b.csv", csv(january.tail(150))))
    assert world.ledger.dataset(result["dataset"])["rows"] == 150


def test_a_retry_of_the_step_changes_nothing(world: World, function: ModuleType, january: pl.DataFrame) -> None:
    # Given a step whose reply was lost
    run = world.take("jan.csv", csv(spoil(january, 5)))
    first = validate(function, run)
    keys = world.keys("")
    dataset = world.ledger.dataset(first["dataset"])
    # When it is repeated
    second = validate(function, run)
    # Then everything is as it was
    assert second == first
    assert world.keys("") == keys
    assert world.ledger.dataset(first["dataset"]) == dataset


def test_without_any_data_there_is_nothing_to_train(world: World, function: ModuleType) -> None:
    result = validate(function, world.open_run("run1"))
    assert (result["outcome"], result["reason"]) == ("skipped", "there is no data yet: upload some first")


def test_the_champions_files_are_in_the_jobs_input(world: World, function: ModuleType, january: pl.DataFrame) -> None:
    # Given a live version
    world.store.write(world.lake.model_file("s1", "model.onnx"), b"the champion")
    world.store.write(world.lake.model_file("s1", "baseline.json"), b"its baseline")
    world.ledger.open_rollout("o1", 3, "t")
    world.ledger.end_rollout("o1", "live", "x", "t", {"version": 3, "sha256": "s1", "lambda_version": "1"})
    # When a run is validated
    run = world.take("jan.csv", csv(january))
    validate(function, run)
    # Then its file, baseline and name are in the job's input
    assert world.store.read(world.lake.run_input(run, "champion.onnx")) == b"the champion"
    assert world.store.read(world.lake.run_input(run, "champion-baseline.json")) == b"its baseline"
    assert world.store.json(world.lake.run_input(run, "request.json"))["champion"] == {"version": 3, "sha256": "s1"}


def test_the_models_folder_is_copied_to_the_run(world: World, january: pl.DataFrame) -> None:
    # Given a deployment's archive of the model's folder
    world.store.write("assets/1.zip", b"the folder")
    digests = {"model_code": "m1", "training_code": "t1", "packages": "v1", "base": "b1"}
    function = world.load("validate", archive=f"s3://{BUCKET}/assets/1.zip", **digests)
    # When a run is validated
    run = world.take("jan.csv", csv(january))
    validate(function, run)
    # Then its jobs work with the folder of this moment, whatever is deployed meanwhile
    assert world.store.read(world.lake.run_input(run, "code.zip")) == b"the folder"
    # And the run records what its code consists of, and what its image is built on
    step = world.ledger.run(run)["steps"]["validate"]
    assert step["code_parts"] == {"model code": "m1", "training code": "t1", "package versions": "v1"}
    assert step["inputs"]["image"] == "b1"


def test_the_result_is_json(world: World, function: ModuleType, january: pl.DataFrame) -> None:
    result = validate(function, world.take("jan.csv", csv(january)))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
