"""Uploads that are too large for validate: a job inspects them, with the same result to the byte."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo.flights import flights
from penstock.ledger.ledger import Upload
from penstock.pipeline.inspection import FileFinding, Inspection
from penstock.settings import InspectSettings
from tests.support.model_code import packed
from tests.support.world import BUCKET, MODEL, STAGE, World
from training.steps import __main__ as entry

RUN, ARCHIVE = "0123456789ab", "assets/model.zip"
Job = Callable[[], int]


@pytest.fixture(scope="module")
def january() -> pl.DataFrame:
    table = flights([1]).head(400)
    spoiled = pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("SWF")).otherwise(pl.col("origin"))
    return table.with_columns(spoiled.alias("origin"))


@pytest.fixture
def job(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Runs the processing job as SageMaker does."""
    monkeypatch.setenv("PENSTOCK_ML_ROOT", str(tmp_path / "ml"))
    settings = InspectSettings(stage=STAGE, model=MODEL, bucket=BUCKET, run=RUN)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return lambda: entry.main(["inspect"])


def set_threshold(world: World, megabytes: int) -> None:
    """Set the size above which a job inspects the files."""
    path = world.root / "model" / "model.yaml"
    path.write_text(path.read_text() + f"\nvalidation: {{job_above_mb: {megabytes}}}\n")


def upload(world: World, january: pl.DataFrame) -> None:
    """Open a run that takes one file, with some bad rows."""
    world.take("a.csv", january.write_csv().encode(), RUN)


def validated(world: World, **event: Any) -> dict[str, Any]:
    world.store.write(ARCHIVE, packed(world.root / "model", "contract.yaml"))  # all that the job reads of the folder
    validate = world.load("validate", archive=f"s3://{BUCKET}/{ARCHIVE}")
    result: dict[str, Any] = validate.handler({"run": RUN, **event}, None)
    return result


def findings(world: World) -> list[FileFinding]:
    keys = world.keys(f"runs/{MODEL}/{RUN}/found/")
    return [FileFinding.read(world.store.json(key)) for key in keys]


def take_folder(world: World, january: pl.DataFrame) -> None:
    """Open a run that takes a folder of two tables, one with bad rows, and a file that is no table."""
    world.upload("days/1.csv", january.head(200).write_csv().encode())
    world.upload("days/2.csv", january.tail(200).write_csv().encode())
    world.upload("days/3.csv", b"\x00")
    world.take("days/_SUCCESS", b"", RUN)


def test_above_the_threshold_the_files_are_left_to_a_job(world: World, job: Job, january: pl.DataFrame) -> None:
    # Given a model whose files are all too large
    set_threshold(world, 0)
    upload(world, january)
    # When they are validated
    result = validated(world)
    # Then nothing is concluded, and the job's list is there
    assert (result["outcome"], result["dataset"]) == ("inspect", None)
    assert result["job"] == {"name": f"dev-flight-delay-{RUN}-check"}
    assert result["reason"] == "1 files of 0 MB are checked by a processing job"
    (file,) = world.store.json(world.lake.run_input(RUN, "files.json"))
    assert Upload(**file) == world.ledger.uploads_of(world.ledger.run(RUN))[0]
    assert world.keys("datasets/") == []
    assert [item["state"] for item in world.ledger.uploads()] == ["taken"]


@pytest.mark.parametrize(("over", "outcome"), [(0, "train"), (1, "inspect")])
def test_the_threshold_is_the_size_of_all_files_together(world: World, over: int, outcome: str) -> None:
    # Given two uploads that are one megabyte together, or a byte more
    set_threshold(world, 1)
    good = flights([1]).head(50).write_csv().encode()
    blank = b"x" * (1_000_000 - len(good) + over)
    world.ledger.record_upload(record(world, "blank.csv", blank))
    world.take("good.csv", good, RUN)
    assert validated(world)["outcome"] == outcome


def record(world: World, name: str, data: bytes) -> Upload:
    item = world.upload(name, data)["detail"]["object"]
    return Upload(item["key"], item["version-id"], item["etag"], item["size"], "2026-01-01T00:00:00+00:00")


def test_a_job_gives_the_same_result_to_the_byte(world: World, job: Job, january: pl.DataFrame) -> None:
    # Given a run that is validated without a job
    take_folder(world, january)
    direct = validated(world)
    assert direct["outcome"] == "train"
    before = {key: world.store.read(key) for key in world.keys("")}
    step, dataset = world.ledger.run(RUN)["steps"]["validate"], world.ledger.dataset(direct["dataset"])
    # When the same run goes through the job
    set_threshold(world, 0)
    assert validated(world)["outcome"] == "inspect"
    assert job() == 0
    through = validated(world, inspected=True)
    # Then its version is the same, and so is each object that was there
    assert (through["outcome"], through["dataset"]) == ("train", direct["dataset"])
    after_job = {key: world.store.read(key) for key in world.keys("")}
    assert {key: after_job[key] for key in before} == before
    own = (f"runs/{MODEL}/{RUN}/found/", f"runs/{MODEL}/{RUN}/input/files.json")
    assert all(key.startswith(own) for key in after_job.keys() - before.keys())
    # And so are the ledger's records, except for the other threshold, which decides nothing that a run gives
    after = world.ledger.run(RUN)["steps"]["validate"]
    assert {name for name in step if step[name] != after[name]} <= {"at", "parameters"}
    assert through["reason"] == direct["reason"]
    moved = {"at": "", "document": ""}  # the time, and the version of the object that holds the same document again
    assert world.ledger.dataset(through["dataset"]) | moved == dataset | moved


def test_each_file_has_its_finding_and_its_line(
    world: World, job: Job, january: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    set_threshold(world, 0)
    take_folder(world, january)
    validated(world)
    assert job() == 0
    results = sorted(findings(world), key=lambda item: item.upload.key)
    assert [(item.rows, item.bad, item.refusal is None) for item in results] == [
        (200, 7, True), (200, 0, True), (0, 0, False),
    ]  # fmt: skip
    output = capsys.readouterr().out
    assert "file 1 of 3: raw/flight-delay/days/1.csv: 200 rows, 7 of them bad" in output
    assert f"file 3 of 3: raw/flight-delay/days/3.csv: refused: {results[2].refusal}" in output


def test_a_retried_job_goes_on_where_it_was(
    world: World, job: Job, january: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a job that breaks on the second of three files
    set_threshold(world, 0)
    take_folder(world, january)
    validated(world)
    names: list[str] = []
    whole = Inspection.inspect

    def breaks(self: Inspection, run: str, upload: Upload) -> FileFinding:
        names.append(upload.key.rpartition("/")[2])
        if names == ["1.csv", "2.csv"]:
            raise OSError(28, "No space left on device")
        return whole(self, run, upload)

    monkeypatch.setattr(Inspection, "inspect", breaks)
    assert job() == 1
    # When it is tried again
    first = world.keys(f"runs/{MODEL}/{RUN}/found/")
    assert len(first) == 1
    before = list(world.store.versions(first[0]))
    assert job() == 0
    # Then the first file is not read again, and its finding stays as it is
    assert names == ["1.csv", "2.csv", "2.csv", "3.csv"]
    assert list(world.store.versions(first[0])) == before
    assert len(findings(world)) == 3
    assert "file 1 of 3: raw/flight-delay/days/1.csv: inspected before" in capsys.readouterr().out
    assert validated(world, inspected=True)["outcome"] == "train"


def test_an_error_with_the_files_name_is_where_sagemaker_reads_it(
    world: World, job: Job, january: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a file on which the inspection breaks
    set_threshold(world, 0)
    upload(world, january)
    validated(world)

    def breaks(*_: Any) -> FileFinding:
        raise MemoryError("cannot allocate 9 GB")

    monkeypatch.setattr(Inspection, "inspect", breaks)
    # When the job runs
    assert job() == 1
    # Then its reason is a sentence, for a training job's FailureReason as for a processing job's ExitMessage
    message = "raw/flight-delay/a.csv cannot be inspected: MemoryError: cannot allocate 9 GB"
    for name in ("failure", "message"):
        assert (tmp_path / "ml" / "output" / name).read_text() == message
    # And the run ends with it, as Step Functions passes it on
    described = {
        "ProcessingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: , exit code: 1",
        "ExitMessage": message,
    }
    error = {"Error": "States.TaskFailed", "Cause": json.dumps(described)}
    event = {"run": RUN, "outcome": "failed", "step": "inspection", "error": error}
    assert world.load("end_run").handler(event, None)["reason"] == f"inspection failed: {message}"


def test_a_job_without_its_list_fails_with_a_message(world: World, job: Job, tmp_path: Path) -> None:
    world.store.write(world.lake.run_input(RUN, "code.zip"), packed(world.root / "model"))
    assert job() == 1
    assert (tmp_path / "ml" / "output" / "message").read_text() == (
        f"NoObjectError: s3://{BUCKET}/runs/{MODEL}/{RUN}/input/files.json is not there"
    )


def test_parts_under_a_changed_contract_go_through_the_job_too(world: World, job: Job, january: pl.DataFrame) -> None:
    # Given a dataset, a changed contract, and a threshold that its file is above
    world.take("a.csv", january.write_csv().encode(), "run1")
    first = world.load("validate").handler({"run": "run1"}, None)
    assert world.ledger.dataset(first["dataset"])["rows"] == 393
    world.end_run("run1")
    path = world.root / "model" / "contract.yaml"
    path.write_text(path.read_text().replace("[EWR, JFK, LGA]", "[EWR, JFK, LGA, SWF]"))
    set_threshold(world, 0)
    world.open_run(RUN)
    # When the next run goes through the job
    assert validated(world)["outcome"] == "inspect"
    assert job() == 0
    result = validated(world, inspected=True)
    # Then the rows that were refused are back
    assert world.ledger.dataset(result["dataset"])["rows"] == 400
