"""Rollout strategies other than a plain canary on the laptop cloud, under steady load.

A shadow, equal steps, one that gives way to another version, and one whose execution is stopped half-way. The tests
follow each other on one deployment: version 2 is tried again and again, version 3 waits, rejected, for its turn.
"""

import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo import flights
from tests.local.conftest import client_for, until
from tests.local.stage.deployed import (
    MODEL,
    Client,
    address,
    alias,
    approve,
    bucket,
    exported,
    is_by_new_version,
    requests,
)
from tests.local.stage.load import Load, load
from tests.local.stage.project import Project
from tests.local.stage.snapshot import copy_live
from tests.local.stage.test_rollouts import bad_code, code_of

# Two trainings of twenty trees have few scores, and other ones: their PSI comes near the default limit.
SHADOW = "strategy: shadow, bake_minutes: 30, shadow_rows: 100, max_score_psi: 2"
LINEAR = "strategy: linear, step: 40, bake_minutes: 20, max_score_psi: 2, on_second_approval: supersede"
WATCHED = "max_latency_ms: 9000, min_rows: 30, on_new_code: wait"
UNSEEN = {
    "wrong scores": ("[1 - score for score in scores]", r"shadow of version 2 on \d+ rows .* other labels"),
    "raises": ("raising(scores)", r"shadow of version 2: (\d+) of \1 rows got no answer .* failed: the disk"),
}


class Rolling:
    """A deployed project with version 1 live, and its clients."""

    def __init__(self, project: Project, rows: list[dict[str, Any]]) -> None:
        self.project, self.rows = project, rows
        self.cloud = project.cloud()
        self.client: Client = client_for(self.cloud)
        self.outputs = exported(self.client)
        (bundle,) = (project.root / ".bundles").glob("predict-*.zip")
        self.good = bundle.read_bytes()

    def alias(self) -> tuple[str, dict[str, float]]:
        return alias(self.client, self.outputs)

    def code(self, change: str = "") -> None:
        code_of(self.client, self.outputs, bad_code(self.good, change) if change else self.good)

    def rollouts(self, version: int) -> list[dict[str, Any]]:
        rollouts: list[dict[str, Any]] = self.project.json("why", MODEL, "--version", str(version))["rollouts"]
        return rollouts

    def documents(self, folder: str) -> Iterator[tuple[str, str]]:
        """Read key and text of each object in a folder of the lake."""
        name, s3 = bucket(self.client), self.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=f"{folder}/{MODEL}/"):
            for item in page.get("Contents", []):
                data = s3.get_object(Bucket=name, Key=item["Key"])["Body"].read()
                yield item["Key"], gzip.decompress(data).decode()

    @contextmanager
    def load(self) -> Iterator[Load]:
        with load(self.cloud, address(self.cloud, self.outputs), self.rows) as traffic:
            until(lambda: len(traffic.answers) > 20, 60)
            yield traffic

    @contextmanager
    def weights(self) -> Iterator[list[float]]:
        """Record the alias's shares of traffic, in their order, until the block ends."""
        shares, stop = [0.0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.2):
                share = sum(self.alias()[1].values())
                if share != shares[-1]:
                    shares.append(share)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield shares
        finally:
            stop.set()
            thread.join()


def watched(project: Project, how: str) -> None:
    path = project.model_folder / "model.yaml"
    path.write_text(re.sub(r"rollout: \{.*\}", f"rollout: {{{how}, {WATCHED}}}", path.read_text()))
    project.run("up")


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolling]:
    project = copy_live(tmp_path_factory)
    watched(project, SHADOW)
    yield Rolling(project, requests(flights.flights([1])))
    project.run("down")


def test_a_bad_shadow_affects_no_request(rolling: Rolling) -> None:
    before = rolling.alias()
    for kind, (change, words) in UNSEEN.items():
        # Given code that goes wrong on what no golden example asks
        rolling.code(change)
        # When its version is rolled out as a shadow under load
        with rolling.load() as traffic, rolling.weights() as shares:
            code, output = approve(rolling.project, f"it is {kind}")
        # Then it is taken back, and the ledger says why, with the numbers
        record = rolling.rollouts(2)[0]
        assert (code, record["outcome"]) == (1, "rolled back"), (kind, output)
        assert re.search(words, record["reason"]), (kind, record["reason"])
        assert record["shadow"]["rows"] >= 30
        # And not one request was touched, for the alias never moved
        assert not [answer for answer in traffic.answers if is_by_new_version(answer)], kind
        assert (rolling.alias(), shares) == (before, [0.0])


def test_a_good_shadow_goes_live_and_its_answers_are_stored_apart(rolling: Rolling) -> None:
    # Given the code as it should be
    rolling.code()
    # When its version is rolled out as a shadow under load
    with rolling.load() as traffic, rolling.weights() as shares:
        code, output = approve(rolling.project, "good")
        ended = len(traffic.answers)
        until(lambda: len(traffic.answers) > ended + 20, 60)
    # Then it is live at once, and the ending has the numbers
    record = rolling.rollouts(2)[0]
    assert (code, record["outcome"]) == (0, "live"), output
    assert re.search(r"serves all traffic; shadow of version 2 on \d+ rows .* PSI .* other labels", record["reason"])
    assert record["shadow"]["unanswered"] == 0
    assert shares == [0.0]
    # And not one request failed
    assert [answer for answer in traffic.answers if answer.status != 200] == []
    assert traffic.answers[-1].version == 2
    # And its answers lie apart: each is to a captured request that version 1 answered, and was captured once
    pairs = [
        pair
        for key, text in rolling.documents("shadow")
        if f"/{record['id']}/" in key
        for pair in json.loads(text)["answers"]
    ]
    assert len(pairs) == record["shadow"]["rows"]
    captured = [json.loads(line) for _, text in rolling.documents("captures") for line in text.splitlines()]
    assert max(Counter(row["id"] for row in captured).values()) == 1
    versions = {row["id"]: row["version"] for row in captured}
    assert {versions[pair["id"]] for pair in pairs} == {1}
    assert {pair["outcome"] for pair in pairs} == {"answered"}
    rolling.project.run("rollback", MODEL, "--reason", "the tests go on")


def test_equal_steps_go_through_one_after_the_other(rolling: Rolling) -> None:
    # Given a rollout in steps of two fifths
    watched(rolling.project, LINEAR)
    rolling.code()
    # When version 2 is rolled out under load
    with rolling.load() as traffic, rolling.weights() as shares:
        code, output = approve(rolling.project, "step by step")
    # Then it had each share, was compared, and is live
    assert code == 0, output
    assert shares == [0.0, 0.4, 0.8, 0.0]
    assert "scores" in rolling.rollouts(2)[0]["reason"]
    # And not one request failed
    assert [answer for answer in traffic.answers if answer.status != 200] == []
    rolling.project.run("rollback", MODEL, "--reason", "the tests go on")


def test_stopping_the_execution_takes_its_traffic_back(rolling: Rolling) -> None:
    # Given version 2 with a share of the traffic
    before = rolling.alias()
    steps = rolling.client("stepfunctions")
    rolling.project.run("approve", MODEL, "--version", "2", "--reason", "again", "--no-wait")
    until(lambda: rolling.alias()[1], 60)
    # When somebody stops its execution
    machine = rolling.outputs["RolloutArn"]
    (execution,) = steps.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
    steps.stop_execution(
        executionArn=execution["executionArn"], error="Stopped", cause="by a person who was in a hurry"
    )
    # Then the same state machine takes the share back, and the ledger says of what the rollout died
    until(lambda: rolling.rollouts(2)[0]["outcome"], 60)
    record = rolling.rollouts(2)[0]
    assert (record["outcome"], rolling.alias()) == ("rolled back", before)
    assert "ABORTED" in record["reason"]
    names = [item["name"] for item in steps.list_executions(stateMachineArn=machine)["executions"]]
    assert f"{record['id']}-back" in names


def test_a_second_approval_supersedes_the_first(rolling: Rolling) -> None:
    # Given version 2 with a share of the traffic
    with rolling.load() as traffic:
        rolling.project.run("approve", MODEL, "--version", "2", "--reason", "again", "--no-wait")
        until(lambda: rolling.alias()[1], 60)
        # When version 3 is approved
        completed = rolling.project.run("approve", MODEL, "--version", "3", "--reason", "its turn")
    # Then version 2 gives way, and version 3 is live
    assert "serves all traffic" in completed.stdout
    record = rolling.rollouts(2)[0]
    assert record["outcome"] == "rolled back"
    assert record["reason"] == "version 2 was taken back: superseded by version 3"
    assert rolling.rollouts(3)[0]["outcome"] == "live"
    # And not one request failed
    assert [answer for answer in traffic.answers if answer.status != 200] == []
