"""The endpoint target on the laptop cloud: same answers, same route, and rollouts without leftovers.

The tests follow each other: version 2 is tried, and taken back, until it goes through at last; then the model is served
by Lambda again.
"""

import csv
import gzip
import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo import flights
from penstock.lake import CAPTURES, prefix, split_uri
from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import free_port, until
from tests.local.stage.deployed import (
    MODEL,
    Client,
    address,
    alias,
    approve,
    bucket,
    is_by_new_version,
    more,
    most,
    register,
    requests,
)
from tests.local.stage.load import load
from tests.local.stage.project import ENDPOINT, Project, copy_endpoint

ASKED = 40
Scores = list[tuple[str, float]]


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights.flights([1])


@pytest.fixture(scope="module")
def rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    return requests(table)


@pytest.fixture(scope="module")
def file(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows that every target scores."""
    path = tmp_path_factory.mktemp("asked") / "asked.csv"
    table.tail(3000).sample(ASKED, seed=11).drop("late").write_csv(path)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame) -> Iterator[Project]:
    """Deployed, with version 1 live and version 2 waiting."""
    project = copy_endpoint(tmp_path_factory.mktemp("project"), free_port())
    project.run("up")
    register(project, tmp_path_factory.mktemp("data"), (table.head(6000), table.slice(6000, 100)))
    yield project
    project.run("down")


def endpoints(client: Client) -> list[tuple[int, str]]:
    """List version and status of every endpoint."""
    listed = client("sagemaker").list_endpoints()["Endpoints"]
    version = re.compile(rf"local-{MODEL}--(\d+)-[0-9a-f]{{12}}")
    names_and_states = [(version.fullmatch(item["EndpointName"]), item["EndpointStatus"]) for item in listed]
    assert all(name for name, _ in names_and_states), listed
    return sorted((int(name[1]), status) for name, status in names_and_states if name)


def settled(client: Client, *versions: int) -> None:
    """Wait until exactly these versions have endpoints, configurations, models and scaling targets."""
    until(lambda: endpoints(client) == [(version, "InService") for version in versions], 30)
    sagemaker, scaling = client("sagemaker"), client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [len(sagemaker.list_endpoint_configs()["EndpointConfigs"]), len(targets)] == [len(versions)] * 2
    assert len(sagemaker.list_models()["Models"]) == len(versions)


def predicted(project: Project, file: Path) -> Scores:
    """Score the rows over HTTPS; return id and score of each."""
    answers = project.json("predict", str(file), "--model", MODEL)
    return [(item["id"], item["score"]) for item in answers["predictions"]]


def scores(predictions: Scores) -> list[float]:
    return [score for _, score in predictions]


def batched(project: Project, file: Path) -> list[float]:
    """Score the same rows as a batch."""
    to = file.with_name("scores.csv")
    project.run("batch", str(file), "--model", MODEL, "--to", str(to))
    with to.open(newline="") as lines:
        return [float(line["score"]) for line in csv.DictReader(lines)]


@pytest.fixture(scope="module")
def first(project: Project, client: Client, file: Path) -> Scores:
    """The answers of version 1's endpoint."""
    settled(client, 1)
    return predicted(project, file)


def test_endpoint_and_batch_give_one_score_bit_for_bit(project: Project, file: Path, first: Scores) -> None:
    assert len(first) == ASKED
    assert scores(first) == batched(project, file)
    # And the command names what answers
    live = project.json("why", MODEL)
    assert re.fullmatch(rf"local-{MODEL}--1-[0-9a-f]{{12}}", live["endpoint"])
    assert f"version 1 is scored by endpoint {live['endpoint']} (InService)" in project.run("models", "show").stdout


def test_every_answer_is_captured_once(client: Client, first: Scores) -> None:
    # Given what was answered over HTTPS; the golden examples were too, as smoke tests
    until(lambda: {row["id"] for row in captured(client)} >= {name for name, _ in first})
    # Then each is among the captures, once, with its score and the version, and nothing else is
    rows = captured(client)
    assert sorted(row["id"] for row in rows) == sorted(name for name, _ in first)
    assert {row["id"]: row["score"] for row in rows} == dict(first)
    assert {row["version"] for row in rows} == {1}


def test_a_container_that_raises_is_taken_back_and_its_endpoint_is_gone(
    project: Project, cloud: LaptopCloud, client: Client, outputs: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    # Given an image whose container raises on whatever is no golden example
    path = project.root / "training" / "steps" / "serve" / "app.py"
    good, before = path.read_text(), alias(client, outputs)
    path.write_text(
        good.replace(
            "        if attributes.captured:\n", '        if attributes.captured:\n            raise OSError("full")\n'
        )
    )
    assert path.read_text() != good
    # When version 2 is rolled out with it under load
    with load(cloud, address(cloud, outputs), rows) as traffic:
        code, output = approve(project, "it looked well")
        ended = time.time()
        until(partial(more, traffic, ended), 30)
    path.write_text(good)
    # Then it is taken back, and the ledger says why
    record = project.json("why", MODEL, "--version", "2")["rollouts"][0]
    assert (code, record["outcome"]) == (1, "rolled back"), output
    assert "its endpoint gave more than 1% of its requests no answer" in record["reason"]
    assert alias(client, outputs) == before
    # And its share was touched, by answers that may be asked again, and nobody after it
    hit = sorted((answer for answer in traffic.answers if is_by_new_version(answer)), key=lambda answer: answer.at)
    meanwhile = [answer for answer in traffic.answers if hit[0].at <= answer.at <= hit[-1].at]
    assert {answer.status for answer in hit} == {503}
    assert len(hit) <= most(len(meanwhile), 0.1)
    assert [answer for answer in traffic.since(ended) if is_by_new_version(answer)] == []
    settled(client, 1)


def test_a_file_that_was_changed_in_its_archive_does_not_start(
    project: Project, cloud: LaptopCloud, client: Client, outputs: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    # Given the archive of version 2 with another file of the name
    arn = next(item["arn"] for item in project.json("models", "show")["versions"] if item["version"] == 2)
    package = client("sagemaker").describe_model_package(ModelPackageName=arn)
    name, key = split_uri(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])
    archive = client("s3").get_object(Bucket=name, Key=key)["Body"].read()
    client("s3").put_object(Bucket=name, Key=key, Body=_tampered(archive))
    before = alias(client, outputs)
    # When it is approved under load
    with load(cloud, address(cloud, outputs), rows) as traffic:
        code, output = approve(project, "nobody looked")
        until(partial(more, traffic, time.time()), 30)
    client("s3").put_object(Bucket=name, Key=key, Body=archive)
    # Then its endpoint does not come up, which is said, and not one request was touched
    assert code == 1
    assert re.search(r"the endpoint \S+ did not start: \S", " ".join(output.split())), output
    assert not [answer for answer in traffic.answers if is_by_new_version(answer)]
    assert alias(client, outputs) == before
    settled(client, 1)


def test_a_good_version_goes_through_and_no_request_fails(
    project: Project, cloud: LaptopCloud, client: Client, outputs: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    # Given load
    with load(cloud, address(cloud, outputs), rows) as traffic:
        # When version 2 is approved, and rolled back by a person
        code, output = approve(project, "good at last")
        assert code == 0, output
        settled(client, 2)
        middle = time.time()
        until(partial(more, traffic, middle), 30)
        back = project.run("rollback", MODEL, "--reason", "on a second thought")
        late = time.time()
        until(partial(more, traffic, late), 30)
    # Then each had all traffic in its turn, by an endpoint that was made for it
    assert "serves all traffic; scores" in output.replace("\n", " "), output
    assert "live" in back.stdout
    assert {answer.version for answer in traffic.since(late)} == {1}
    settled(client, 1)
    # And not one request failed
    assert [answer for answer in traffic.answers if answer.status != 200] == []


def test_lambda_gives_the_same_scores_when_it_takes_over(
    project: Project, client: Client, file: Path, first: Scores
) -> None:
    # Given a deployment that says Lambda, which by itself moves nothing
    path = project.model_folder / "model.yaml"
    path.write_text(path.read_text().replace(ENDPOINT, ""))
    project.run("up")
    settled(client, 1)
    assert scores(predicted(project, file)) == scores(first)
    # When it is rolled out
    completed = project.run("rollout", MODEL, "--new-code", "--reason", "nobody asks at night")
    # Then the predict function gives the same scores, bit for bit, and no endpoint is left
    assert "live" in completed.stdout
    assert project.json("why", MODEL)["endpoint"] is None
    settled(client)
    assert scores(predicted(project, file)) == scores(first)


def test_an_endpoint_takes_over_from_lambda_and_is_deleted_with_the_stack(
    project: Project, client: Client, file: Path, first: Scores
) -> None:
    # Given the same model, deployed with an endpoint again, and rolled out
    path = project.model_folder / "model.yaml"
    path.write_text(f"{path.read_text()}{ENDPOINT}")
    project.run("up")
    assert endpoints(client) == []
    assert "live" in project.run("rollout", MODEL, "--new-code", "--reason", "everybody asks").stdout
    settled(client, 1)
    assert scores(predicted(project, file)) == scores(first)
    # When its stack is deleted, then its endpoint is too; the registry keeps a group that has versions
    client("cloudformation").delete_stack(StackName=f"penstock-local-model-{MODEL}")
    until(lambda: endpoints(client) == [], 60)
    settled(client)


def _tampered(archive: bytes) -> bytes:
    """Return the archive with a model file that is one byte longer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for member in source:
            stream = source.extractfile(member)
            if stream is None:
                continue
            data = stream.read() + (b" " if member.name.endswith("model.onnx") else b"")
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def captured(client: Client) -> list[dict[str, Any]]:
    """Read all captured rows."""
    name, s3 = bucket(client), client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix(CAPTURES, MODEL))
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    files = [gzip.decompress(s3.get_object(Bucket=name, Key=key)["Body"].read()) for key in keys]
    return [json.loads(line) for data in files for line in data.splitlines()]
