"""Canary rollouts on the laptop cloud under steady load: good versions go live, bad ones are rolled back.

A bad version is the registered model behind code that was made bad: the golden examples see none of it. A rollout
publishes `$LATEST`, so that changing the function's code is all it takes. The tests follow each other: version 2 is
tried, and taken back, again and again until it goes through at last.
"""

import io
import re
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl
import pytest

from demo import flights
from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import until
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
    requests,
)
from tests.local.stage.load import load
from tests.local.stage.project import Project
from tests.local.stage.snapshot import copy_live

WEIGHTS = (10, 50, 100)

BAD = '''"""The predict function, and what is wrong with it."""

import time

from functions.predict import good


class Bad:
    """The model, but for requests that are no smoke test."""

    def __init__(self, model):
        self._model = model
        self.live = False

    def __getattr__(self, name):
        return getattr(self._model, name)

    def score_instances(self, rows):
        scores = self._model.score_instances(rows)
        return {change} if self.live else scores


def slowly(scores):
    time.sleep(5)
    return scores


def raising(scores):
    raise RuntimeError("the disk of answers is full")


good.model = Bad(good.model) if good.model else None


def handler(event, context):
    if good.model:
        good.model.live = {always} or not event.get("smoke_test")
    return good.handler(event, context)
'''
CHANGES = {
    "raises": ("raising(scores)", r"Alarmed|of its requests raised"),
    "slow": ("slowly(scores)", r"slowest answers \(99th percentile\) took more than 4000 ms"),
    "wrong scores": ("[1 - score for score in scores]", r"scores of versions 2 and 1: PSI \d"),
    "wrong shape": ("[[score, score] for score in scores]", r"of its requests raised"),
}


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights.flights([1])


@pytest.fixture(scope="module")
def rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    return requests(table)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Version 1 is live, version 2 waits."""
    project = copy_live(tmp_path_factory)
    yield project
    project.run("down")


@pytest.fixture(scope="module")
def good_code(project: Project, outputs: dict[str, str], client: Client) -> bytes:
    """The function's code as deployed."""
    digest = client("lambda").get_function_configuration(FunctionName=outputs["PredictName"])["CodeSha256"]
    bundles = [path.read_bytes() for path in (project.root / ".bundles").glob("predict-*.zip")]
    assert digest
    assert len(bundles) == 1
    return bundles[0]


def bad_code(good: bytes, change: str, *, always: bool = False) -> bytes:
    """Return the bundle with a handler that is wrong."""
    buffer, source = io.BytesIO(), zipfile.ZipFile(io.BytesIO(good))
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in source.namelist():
            renamed = name.replace("functions/predict/handler.py", "functions/predict/good.py")
            archive.writestr(renamed, source.read(name))
        archive.writestr(
            "functions/predict/handler.py", BAD.replace("{change}", change).replace("{always}", str(always))
        )
    return buffer.getvalue()


def code_of(client: Client, outputs: dict[str, str], code: bytes) -> None:
    """Have the next rollout publish this code."""
    client("lambda").update_function_code(FunctionName=outputs["PredictName"], ZipFile=code)


def weights_of(project: Project, weight: int) -> None:
    """Deploy with a canary of this weight."""
    path = project.root / "training" / "models" / MODEL / "model.yaml"
    path.write_text(re.sub(r"weights: \[.*?\]", f"weights: [{weight}]", path.read_text()))
    project.run("up")


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_bad_version_gets_its_share_only_and_is_rolled_back(
    project: Project,
    cloud: LaptopCloud,
    client: Client,
    outputs: dict[str, str],
    good_code: bytes,
    rows: list[dict[str, Any]],
    weight: int,
) -> None:
    weights_of(project, weight)
    before = alias(client, outputs)
    for kind, (change, words) in CHANGES.items():
        # Given code that goes wrong on what no golden example asks
        code_of(client, outputs, bad_code(good_code, change))
        # When its version is rolled out under load
        with load(cloud, address(cloud, outputs), rows) as traffic:
            code, output = approve(project, f"it is {kind}")
            ended = time.time()
            until(partial(more, traffic, ended), 30)
        # Then it is taken back, and the ledger says why
        record = project.json("why", MODEL, "--version", "2")["rollouts"][0]
        assert (code, record["outcome"]) == (1, "rolled back"), (kind, output)
        assert re.search(words, record["reason"]), (kind, record["reason"])
        assert alias(client, outputs) == before, kind
        # And no more than its share was touched, and nothing after it
        hit = sorted((answer for answer in traffic.answers if is_by_new_version(answer)), key=lambda answer: answer.at)
        assert hit, kind
        # Counted from the first request that it got to the last.
        meanwhile = [answer for answer in traffic.answers if hit[0].at <= answer.at <= hit[-1].at]
        assert len(hit) <= most(len(meanwhile), weight / 100), (kind, len(hit), len(meanwhile))
        assert [answer for answer in traffic.since(ended) if is_by_new_version(answer)] == [], kind
        # And what failed, the bad version failed
        failed = [answer for answer in traffic.answers if answer.status != 200]
        assert not failed or kind in {"raises", "wrong shape"}, (kind, failed[0])


def test_a_version_that_fails_the_golden_examples_gets_no_traffic(
    project: Project,
    cloud: LaptopCloud,
    client: Client,
    outputs: dict[str, str],
    good_code: bytes,
    rows: list[dict[str, Any]],
) -> None:
    # Given code that is wrong from the first request on
    code_of(client, outputs, bad_code(good_code, "[1 - score for score in scores]", always=True))
    before = alias(client, outputs)
    # When its version is rolled out under load
    with load(cloud, address(cloud, outputs), rows) as traffic:
        code, output = approve(project, "wrong at once")
        until(partial(more, traffic, time.time()), 30)
    # Then not one request was touched
    assert code == 1
    assert "golden examples differ" in output
    assert not [answer for answer in traffic.answers if is_by_new_version(answer)]
    assert alias(client, outputs) == before


def test_a_tampered_file_gets_no_traffic(
    project: Project, cloud: LaptopCloud, client: Client, outputs: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    # Given the file of version 2 swapped at its key
    key = f"models/{MODEL}/{project.json('why', MODEL, '--version', '2')['sha256']}/model.onnx"
    name = bucket(client)
    file = client("s3").get_object(Bucket=name, Key=key)["Body"].read()
    client("s3").put_object(Bucket=name, Key=key, Body=file + b" ")
    before = alias(client, outputs)
    # When it is approved under load
    with load(cloud, address(cloud, outputs), rows) as traffic:
        code, output = approve(project, "nobody looked")
        until(partial(more, traffic, time.time()), 30)
    client("s3").put_object(Bucket=name, Key=key, Body=file)
    # Then it is refused by name, and not one request was touched
    assert code == 1
    assert "was changed since it was registered" in " ".join(output.split())
    assert not [answer for answer in traffic.answers if is_by_new_version(answer)]
    assert alias(client, outputs) == before


def test_a_good_version_goes_through_and_no_request_fails(
    project: Project,
    cloud: LaptopCloud,
    client: Client,
    outputs: dict[str, str],
    good_code: bytes,
    rows: list[dict[str, Any]],
) -> None:
    # Given the code as it should be, under load
    code_of(client, outputs, good_code)
    with load(cloud, address(cloud, outputs), rows) as traffic:
        # When version 2 is approved
        code, output = approve(project, "good at last")
        assert code == 0, output
        ended = time.time()
        until(partial(more, traffic, ended), 30)
        # And rolled back by a person
        back = project.run("rollback", MODEL, "--reason", "on a second thought")
        late = time.time()
        until(partial(more, traffic, late), 30)
    # Then it went live, with what was seen, and the one before serves again
    assert "serves all traffic; scores" in output.replace("\n", " "), output
    assert "live" in back.stdout
    assert {answer.version for answer in traffic.since(late)} == {1}
    # And not one request failed
    assert [answer for answer in traffic.answers if answer.status != 200] == []
