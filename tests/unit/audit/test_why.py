"""The chain behind a live version and behind an answer, read from a ledger that has it."""

import gzip
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.audit import openlineage as lineage
from penstock.audit.why import why as chain_of
from penstock.captures import reader as captures
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record, Run, Upload
from tests.support.world import World


@pytest.fixture
def ledger(world: World) -> Ledger:
    """One version, from its upload to its rollout, and a later one that waits."""
    ledger = world.ledger
    upload = Upload("raw/flight-delay/a.csv", "v1", "e", 1, "t0")
    ledger.record_upload(upload)
    ledger.open_run(Run("run1", "upload", "upload of a.csv", (upload,), "t1"))
    part = {"sha256": "p1", "rows": 10, "size": 5, "uploads": ["s3://b/raw/flight-delay/a.csv?versionId=v1"]}
    ledger.note_step("run1", "validate", "t2", inputs={"image": "i1"}, image="registry/image:tag")
    ledger.put_dataset("d1", run="run1", rows=10, parts=[part], contract="c1", document="v7")
    ledger.note_step("run1", "gates", "t2", verdicts=[{"passed": True, "sentence": "roc_auc 0.9 ≥ 0.8"}])
    about = {"run": "run1", "dataset": "d1", "sha256": "s1", "code": "code", "metrics": {"roc_auc": 0.9}}
    for version in (1, 2):
        ledger.put_version(version, **about)
    ledger.end_run("run1", "registered", "version 1", "t3")
    ledger.put_approval(1, "t4", decision="approved", by="arn:someone", reason="better")
    ledger.open_rollout("o1", 1, "t5")
    ledger.end_rollout("o1", "live", "serves", "t6", {"version": 1, "sha256": "s1", "lambda_version": "4"})
    return ledger


def why(ledger: Ledger, version: int | None = None, prediction: Record | None = None) -> Record:
    return chain_of(ledger, Lake("b", "flight-delay"), version, prediction)


def test_why_traces_the_live_version(ledger: Ledger) -> None:
    chain = why(ledger)
    assert (chain["version"], chain["live"], chain["sha256"]) == (1, True, "s1")
    assert chain["rollouts"] == [
        {
            "id": "o1",
            "outcome": "live",
            "reason": "serves",
            "opened": "t5",
            "ended": "t6",
            "rolls_back": None,
            "because": None,
            "new_code": None,
            "endpoint": None,
            "by": None,
            "shadow": None,
        }
    ]
    assert [(item["by"], item["reason"]) for item in chain["approvals"]] == [("arn:someone", "better")]
    assert chain["gates"] == [{"passed": True, "sentence": "roc_auc 0.9 ≥ 0.8"}]
    assert (chain["run"]["id"], chain["run"]["cause"], chain["run"]["code"]) == ("run1", "upload of a.csv", "code")
    assert (chain["run"]["image"], chain["run"]["image_sha256"]) == ("registry/image:tag", "i1")
    manifest = "s3://b/datasets/flight-delay/versions/d1.json"
    assert (chain["dataset"]["manifest"], chain["dataset"]["manifest_version"]) == (manifest, "v7")
    assert chain["dataset"]["uploads"] == [
        {"upload": "s3://b/raw/flight-delay/a.csv?versionId=v1", "part": "p1", "rows": 10}
    ]


def test_the_endpoint_that_answers_is_the_live_versions(ledger: Ledger) -> None:
    # Given the live version's record, by an endpoint
    assert ledger.open_rollout("o9", 1, "t9")
    about = {"version": 1, "sha256": "abc", "lambda_version": "9", "endpoint": "dev-m--1-abc"}
    assert ledger.end_rollout("o9", "live", "serves", "t9", about)
    # Then its chain names it, and another version's does not
    assert why(ledger, 1)["endpoint"] == "dev-m--1-abc"
    assert why(ledger, 2)["endpoint"] is None


def test_why_traces_a_version_that_is_not_live(ledger: Ledger) -> None:
    chain = why(ledger, 2)
    assert (chain["version"], chain["live"], chain["approvals"], chain["rollouts"]) == (2, False, [], [])


def test_a_version_that_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(NoRecordError, match="version 3 of flight-delay"):
        why(ledger, 3)


def test_without_a_live_version_why_is_an_error(world: World) -> None:
    with pytest.raises(NoRecordError, match="live version of flight-delay: approve one first"):
        why(world.ledger)


# The chain of an answer


NOW = datetime(2026, 3, 4, 5, 30, tzinfo=UTC)


def write_captures(world: World, at: datetime, name: str, *ids: str) -> str:
    """Write a file of captures as Firehose does; its URI."""
    rows = [{"at": at.isoformat(), "version": 1, "id": item, "score": 0.5, "instance": {"dest": "IAH"}} for item in ids]
    key = captures.hour_prefix(world.lake, at) + name
    world.store.write(key, gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return world.lake.uri(key)


def test_a_prediction_is_found_from_the_newest_file_back(world: World) -> None:
    # Given captures of three days, the one that is asked for in the middle
    write_captures(world, NOW - timedelta(days=2), "a", "r1-0")
    place = write_captures(world, NOW - timedelta(days=1), "b", "r2-0", "r2-1", "r2-10")
    write_captures(world, NOW, "c", "r3-0")
    # When it is searched
    looks: list[tuple[int, datetime]] = []
    row = captures.find(
        world.store,
        world.lake,
        "r2-1",
        since=NOW - timedelta(days=30),
        until=NOW,
        progress=lambda *look: looks.append(look),
    )
    # Then it is that row, and the older file was not opened
    assert (row["id"], row["instance"], row["file"]) == ("r2-1", {"dest": "IAH"}, place)
    assert [(files, day.day) for files, day in looks] == [(0, 4), (1, 3)]


@pytest.mark.parametrize("since", [timedelta(hours=2), timedelta(days=30)])
def test_a_missing_prediction_is_an_error_that_names_the_searched_files(world: World, since: timedelta) -> None:
    write_captures(world, NOW - timedelta(hours=3), "a", "r1-0")
    prediction = "r1-0" if since < timedelta(days=1) else "r1"
    words = f"{prediction} is in none of the {int(prediction == 'r1')} capture files of flight-delay since"
    with pytest.raises(captures.NoCaptureError, match=words):
        captures.find(world.store, world.lake, prediction, since=NOW - since, until=NOW)


def test_a_search_for_a_prediction_stops_at_its_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "MOST_FILES", 1)
    write_captures(world, NOW - timedelta(hours=1), "a", "r1-0")
    write_captures(world, NOW, "b", "r2-0")
    with pytest.raises(captures.NoCaptureError, match="r1-0 is not in the newest 1 capture files"):
        captures.find(world.store, world.lake, "r1-0", since=NOW - timedelta(days=1), until=NOW)


def test_why_traces_a_prediction_to_its_uploads(ledger: Ledger) -> None:
    row = {"id": "r1-0", "at": "t6", "version": 1, "score": 0.5, "instance": {}, "file": "s3://b/f"}
    chain = why(ledger, prediction=row)
    assert (chain["version"], chain["prediction"]) == (1, row | {"rollout": "o1"})
    with pytest.raises(NoRecordError, match="prediction r1-0 of version 2: version 1 answered it"):
        why(ledger, 2, row)


# OpenLineage events


def moments(of: Record) -> Record:
    return of | {"opened": "2026-03-04T05:00:00.000+00:00", "ended": "2026-03-04T05:01:00.000+00:00"}


def facets(document: Any) -> list[Any]:
    """Every facet of an event, at any depth."""
    if isinstance(document, list):
        return [facet for item in document for facet in facets(item)]
    if not isinstance(document, dict):
        return []
    own = [facet for name, value in document.items() if name.lower().endswith("facets") for facet in value.values()]
    return own + [facet for item in document.values() for facet in facets(item)]


def test_the_runs_as_openlineage_events(ledger: Ledger) -> None:
    # Given the chain of a version
    chain = why(ledger, 1)
    chain |= {"run": moments(chain["run"])}
    # When its events are built twice
    events, again = (lineage.build_events(chain, moments(ledger.run("run1")), "prod") for _ in range(2))
    # Then they are the same, and each has what the specification requires
    assert events == again
    assert [(event["job"]["name"].rpartition(".")[2], event["eventType"]) for event in events] == [
        ("validate", "START"), ("validate", "COMPLETE"), ("train", "START"), ("train", "COMPLETE"),
    ]  # fmt: skip
    for event in events:
        assert uuid.UUID(event["run"]["runId"])
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        assert event["job"]["namespace"] == "penstock-prod"
        assert re.fullmatch(
            r"https://openlineage\.io/spec/[\d-]+/OpenLineage\.json#/\$defs/RunEvent", event["schemaURL"]
        )
        assert event["producer"].startswith("https://")
        assert all(item["namespace"] and item["name"] for item in event["inputs"] + event["outputs"])
        assert all({"_producer", "_schemaURL"} <= set(facet) for facet in facets(event))
    # And the uploads lead to the dataset, the dataset to the version
    first, last = events[0], events[-1]
    assert (first["inputs"][0]["namespace"], first["inputs"][0]["name"]) == ("s3://b", "raw/flight-delay/a.csv")
    assert first["inputs"][0]["facets"]["version"]["datasetVersion"] == "v1"
    assert first["outputs"][0]["name"] == last["inputs"][0]["name"]
    assert last["outputs"][0]["name"] == "flight-delay/versions/1"
    assert first["run"]["runId"] == events[1]["run"]["runId"] != last["run"]["runId"]
