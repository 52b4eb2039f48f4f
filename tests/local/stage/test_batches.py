"""Batch scoring on the laptop cloud: the same scores as over HTTPS, and a batch that resumes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo import flights
from penstock.batch.names import batch_id
from tests.local.conftest import until
from tests.local.stage.deployed import MODEL, Client, exported
from tests.local.stage.project import Project
from tests.local.stage.snapshot import BATCH_BEFORE_LIVE, copy_live


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights.flights([1, 7])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A cloud of its own, where a model is live."""
    project = copy_live(tmp_path_factory)
    yield project
    project.run("down")


def batches(project: Project) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = project.json("batches", "--model", MODEL)
    return records


def test_a_batch_without_a_live_version_says_so(project: Project) -> None:
    assert "is live yet: approve one" in (project.root / BATCH_BEFORE_LIVE).read_text()


def test_two_thousand_rows_are_scored_as_requests_are(project: Project, table: pl.DataFrame) -> None:
    # Given 2,000 flights, and three rows among them that no model takes
    good = table.slice(5000, 2000).drop("late")
    texts = good.select(pl.all().cast(pl.String))
    poison = texts.head(3).with_columns(
        pl.Series("distance", ["far", "0", None]), pl.Series("flight_id", ["bad-1", "bad-2", "bad-3"])
    )
    file, over_https = project.root / "july.csv", project.root / "july-good.csv"
    pl.concat([texts.head(700), poison, texts.tail(1300)]).write_csv(file)
    good.write_csv(over_https)
    # When they are scored as a batch, and the good ones over HTTPS
    out = project.root / "scores.csv"
    completed = project.run("batch", str(file), "--model", MODEL, "--to", str(out))
    answers = project.json("predict", str(over_https), "--model", MODEL)["predictions"]
    # Then every score is the same, bit for bit, in order, beside its key
    assert "2,000 of 2,003 rows scored by version 1; 3 could not be" in completed.stdout
    scores = pl.read_csv(out)
    assert scores["score"].to_list() == [item["score"] for item in answers]
    assert scores["label"].to_list() == [item["label"] for item in answers]
    assert scores["flight_id"].to_list() == good["flight_id"].to_list()
    assert scores["row"].to_list() == [*range(1, 701), *range(704, 2004)]
    assert scores["id"].n_unique() == 2000
    # And one row alone is answered the same too
    single = project.root / "one.jsonl"
    good.slice(17, 1).write_ndjson(single)
    (alone,) = project.json("predict", str(single), "--model", MODEL)["predictions"]
    assert alone["score"] == answers[17]["score"]


def test_rows_that_cannot_be_scored_are_listed_with_reasons(project: Project, client: Client) -> None:
    (record,) = [item for item in batches(project) if item["name"] == "july.csv"]
    assert (record["outcome"], record["scored"], record["errors"]) == ("scored", 2000, 3)
    bucket, _, key = record["reason"].partition("s3://")[2].partition("/")
    lines = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    errors = [json.loads(line) for line in lines]
    assert [(item["row"], item["flight_id"], item["reason"]) for item in errors] == [
        (701, "bad-1", "distance: not a number"),
        (702, "bad-2", "distance: below 1.0"),
        (703, "bad-3", "distance: missing"),
    ]


def test_the_same_file_again_is_recognised(project: Project) -> None:
    completed = project.run("batch", str(project.root / "july.csv"), "--model", MODEL, "--wait")
    assert "skipped: the same file was scored by version 1 as batch" in completed.stdout


def test_a_bad_file_is_refused_as_an_upload_is(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("carrier,origin\nUA\n")
    completed = project.run("batch", str(file), "--model", MODEL, "--wait", check=False)
    assert completed.returncode == 11
    assert "bad.csv: the column 'dest' is missing" in completed.stdout


REPEATED = 4
"""Times the table: even on a busy machine, the test then stops the batch long before its last part is scored."""


def test_a_stopped_batch_resumes_with_the_missing_parts(project: Project, client: Client, table: pl.DataFrame) -> None:
    # Given a batch of many parts, stopped when the first of them is scored
    file = project.root / "all.parquet"
    table = pl.concat([table] * REPEATED)
    table.drop("late").write_parquet(file)
    parts = -(-table.height // 10_000)
    assert parts >= 20
    earlier = {str(item.get("work")) for item in batches(project)}
    sent = project.json("batch", str(file), "--model", MODEL)
    # Asked of S3 itself: a command takes longer than a part
    batch = batch_id(MODEL, sent["key"], sent["version_id"])
    work = until(lambda: running_work(client, sent["uri"], earlier), 120)
    machine = exported(client)["BatchArn"]
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{batch}"
    client("stepfunctions").stop_execution(executionArn=execution, cause="the test said so")
    until(lambda: ended(project, batch), 60)
    assert ended(project, batch)["reason"].startswith("the execution ended ABORTED")
    # What was being scored comes to its end; nothing else begins
    before = settled(client, sent["uri"], work)
    assert 0 < before < parts
    # When it is pushed again
    out = project.root / "all-scores.parquet"
    completed = project.run("batch", str(file), "--model", MODEL, "--to", str(out))
    # Then only the parts that were missing are scored, and no row is lost
    assert f"{before} of {parts} parts by an earlier batch" in completed.stdout
    scores = pl.read_parquet(out)
    assert scores["flight_id"].to_list() == table["flight_id"].to_list()
    assert scores["row"].to_list() == list(range(1, table.height + 1))


def running_work(client: Client, uri: str, earlier: set[str]) -> str | None:
    """Return the name of new work once one of its parts is scored."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    prefix = f"batch-work/{MODEL}/"
    objects = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    places = [item["Key"].removeprefix(prefix).split("/") for item in objects]
    return next((place[0] for place in places if place[1] == "scored" and place[0] not in earlier), None)


def scored(client: Client, uri: str, work: str) -> int:
    bucket = uri.removeprefix("s3://").partition("/")[0]
    prefix = f"batch-work/{MODEL}/{work}/scored/"
    return int(client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"])


def settled(client: Client, uri: str, work: str) -> int:
    """Count the scored parts once their number no longer changes."""
    counts: list[int] = []

    def quiet() -> bool:
        counts.append(scored(client, uri, work))
        return len(counts) > 60 and len(set(counts[-60:])) == 1

    until(quiet, 60)
    return counts[-1]


def ended(project: Project, batch: str) -> dict[str, Any]:
    return next((item for item in batches(project) if item["id"] == batch and item["state"] == "ended"), {})
