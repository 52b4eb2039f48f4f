"""Ground truth joined with captured rows."""

import io
import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn import metrics

from penstock.captures.pseudonyms import Pseudonyms
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.ledger.ledger import timestamp
from tests.support.world import World, client
from tests.unit.monitoring.captured_rows import (
    capture,
    capture_multiclass,
    go_live,
    multiclass_baseline,
    use_multiclass,
)


def make_personal(world: World, **columns: str) -> Contract:
    """Make columns of the contract personal."""
    path = world.root / "model" / "contract.yaml"
    document = yaml.safe_load(path.read_text())
    for item in document["schema"][0]["properties"]:
        if item["name"] in columns:
            item["classification"] = "personal"
            item["customProperties"] = [{"property": "privacy", "value": columns[item["name"]]}]
    path.write_text(yaml.safe_dump(document))
    return read_contract(world.root / "model")


def upload_labels(world: World, function: ModuleType, name: str, text: str) -> dict[str, Any]:
    reply: dict[str, Any] = function.handler(world.upload(name, text.encode(), folder="labels"), None)
    return reply


def as_captured(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]


def test_labels_join_by_inference_id(world: World, function: ModuleType, rows: list[dict[str, Any]]) -> None:
    # Given three captured rows, all predicted late
    capture(world, as_captured(rows[:3]), "a")
    # When the truth of two is uploaded, one of them late, and of one that was never requested
    result = upload_labels(world, function, "truth.csv", "id,late\na-0,true\na-1,false\nzzz-9,true\n")
    # Then two are joined and wait for the next run
    assert (result["outcome"], result["rows"], result["accuracy"]) == ("labelled", 2, 0.5)
    assert result["sentence"].startswith(
        "2 of 3 labels joined, accuracy 0.500; 2 rows from labels/flight-delay/truth.csv"
    )
    waiting = world.ledger.waiting()
    assert [upload.key.split("/")[0] for upload in waiting] == ["labelled"]
    table = pl.read_parquet(io.BytesIO(world.store.read(waiting[0].key)))
    assert set(table["flight_id"]) == {rows[0]["flight_id"], rows[1]["flight_id"]}
    assert table.sort("late")["late"].to_list() == [False, True]
    names = {
        item["MetricName"]
        for item in client("cloudwatch").list_metrics(Namespace="Penstock/dev/flight-delay")["Metrics"]
    }
    assert names == {"LiveAccuracy", "LabelledRows"}


def test_labels_join_by_row_key(world: World, function: ModuleType, rows: list[dict[str, Any]]) -> None:
    capture(world, as_captured(rows[:2]), "a")
    result = upload_labels(world, function, "truth.csv", f"flight_id,late\n{rows[0]['flight_id']},true\n")
    assert (result["outcome"], result["rows"], result["accuracy"]) == ("labelled", 1, 1.0)


def test_repeated_labels_are_known_already(world: World, function: ModuleType, rows: list[dict[str, Any]]) -> None:
    capture(world, as_captured(rows[:2]), "a")
    text = "id,late\na-0,true\na-1,false\n"
    upload_labels(world, function, "truth.csv", text)
    assert upload_labels(world, function, "again.csv", text)["sentence"].endswith("these rows are known already")
    assert len(world.ledger.waiting()) == 1


@pytest.mark.parametrize(("late", "not_late"), [("1", "0"), ("yes", "no"), ("TRUE", "False"), ("t", "f")])
def test_labels_may_have_every_spelling_of_the_contract(
    world: World, function: ModuleType, rows: list[dict[str, Any]], late: str, not_late: str
) -> None:
    capture(world, as_captured(rows[:4]), "a")
    result = upload_labels(
        world, function, "truth.csv", f"id,late\na-0,{late}\na-1,{late}\na-2,{late}\na-3,{not_late}\n"
    )
    assert (result["rows"], result["accuracy"]) == (4, 0.75)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("late\ntrue\n", "labels need the columns 'late' and 'id' or 'flight_id'; 'flight_id' is missing"),
        ("id\na-0\n", "'late' is missing"),
    ],
)
def test_unreadable_labels_are_refused(world: World, function: ModuleType, text: str, words: str) -> None:
    result = upload_labels(world, function, "truth.csv", text)
    assert result["outcome"] == "refused"
    assert words in result["sentence"]


def test_labels_without_a_captured_row_match_nothing(
    world: World, function: ModuleType, rows: list[dict[str, Any]]
) -> None:
    capture(world, as_captured(rows[:1]), "a")
    result = upload_labels(world, function, "truth.csv", "id,late\nz-0,true\n")
    assert (result["outcome"], result["rows"]) == ("no match", 0)
    assert result["sentence"].endswith("none of 1 labels belongs to a captured row")


def test_invalid_labels_do_not_wait_for_a_run(world: World, function: ModuleType, rows: list[dict[str, Any]]) -> None:
    # Given ground truth that the contract does not accept
    capture(world, as_captured(rows[:1]), "a")
    result = upload_labels(world, function, "truth.csv", "id,late\na-0,perhaps\n")
    # Then nothing waits, and the sentence says why
    assert world.ledger.waiting() == []
    assert result["rows"] == 0
    assert "no label is a value of 'late' in the contract" in result["sentence"]


def test_labels_of_a_regression_give_its_error(world: World, rows: list[dict[str, Any]]) -> None:
    # Given a regression whose target is a number
    for name, old, new in (
        ("model.yaml", "task: binary", "task: regression"),
        ("contract.yaml", "logicalType: boolean", "logicalType: number"),
    ):
        path = world.root / "model" / name
        text = path.read_text().replace(old, new)
        path.write_text(text[: text.index("gates:")] if "gates:" in text else text)
    capture(world, as_captured(rows[:2]), "a")
    # When the truth of two predictions (0 and 0.5) is uploaded
    result = upload_labels(world, world.load("monitor"), "truth.csv", "id,late\na-0,3\na-1,4.5\n")
    # Then the quality is their root mean squared error
    assert (result["outcome"], result["rows"], result["rmse"]) == ("labelled", 2, 12.5**0.5)
    assert "accuracy" not in result
    metrics = client("cloudwatch").list_metrics(Namespace="Penstock/dev/flight-delay")["Metrics"]
    assert {item["MetricName"] for item in metrics} == {"LiveRMSE", "LabelledRows"}


def test_labels_of_several_classes_give_metrics_and_wait_for_a_run(
    world: World, rows: list[dict[str, Any]], contract: Contract
) -> None:
    # Given a live version of three classes, and three predictions of it
    use_multiclass(world)
    go_live(world, multiclass_baseline(contract, rows[:100], np.random.default_rng(0).dirichlet([1, 1, 1], 100)))
    world.ledger.put_version(1, arn="arn", sha256="s1")
    scores = [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
    capture_multiclass(world, as_captured(rows[:3]), *scores)
    # When their ground truth is uploaded
    result = upload_labels(world, world.load("monitor"), "truth.csv", "id,late\na-0,large\na-1,mid\na-2,small\n")
    # Then the metrics are those of the evaluation
    assert (result["outcome"], result["rows"]) == ("labelled", 3)
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["log_loss"] == pytest.approx(metrics.log_loss(["large", "mid", "small"], scores))
    assert result["sentence"].startswith("3 of 3 labels joined, accuracy 0.667, balanced_accuracy 0.667, f1 ")
    assert "lowest recall 0.000 of 'mid' in 1 rows; 3 rows from" in result["sentence"]
    names = client("cloudwatch").list_metrics(Namespace="Penstock/dev/flight-delay")["Metrics"]
    assert {item["MetricName"] for item in names} == {
        "LiveAccuracy",
        "LiveBalancedAccuracy",
        "LiveF1",
        "LiveLogLoss",
        "LabelledRows",
    }
    # And the rows wait for the next run
    (upload,) = world.ledger.waiting()
    table = pl.read_parquet(io.BytesIO(world.store.read(upload.key)))
    assert sorted(table["late"]) == ["large", "mid", "small"]


def test_predictions_of_another_task_wait_for_a_run_and_are_not_measured(
    world: World, rows: list[dict[str, Any]]
) -> None:
    # Given a version that predicted amounts, and a model whose task has changed since
    use_multiclass(world)
    at = datetime.now(UTC)
    line = {"at": timestamp(at), "version": 1, "id": "a-0", "score": 3.5, "instance": as_captured(rows[:1])[0]}
    world.store.write(f"captures/flight-delay/{at:%Y/%m/%d/%H}/a", json.dumps(line).encode())
    # When the truth is uploaded, then it is joined without a metric
    result = upload_labels(world, world.load("monitor"), "truth.csv", "id,late\na-0,mid\n")
    assert result["sentence"].startswith("1 of 1 labels joined; 1 rows from")
    assert set(result) == {"outcome", "sentence", "rows", "slices"}
    assert len(world.ledger.waiting()) == 1


def test_rows_without_personal_values_are_labelled_and_trained_on(world: World, rows: list[dict[str, Any]]) -> None:
    # Given captures without two required columns that are dropped, and with a hash of a third
    contract = make_personal(world, carrier="drop", dest="hash", dep_delay="drop")
    hashes = Pseudonyms(b"k")
    captured = [
        {name: value for name, value in row.items() if name not in {"carrier", "dep_delay"}}
        | {"dest": hashes.of("dest", row["dest"])}
        for row in rows[:3]
    ]
    capture(world, captured, "a")
    # When their ground truth is uploaded
    result = upload_labels(world, world.load("monitor"), "truth.csv", "id,late\na-0,true\na-1,false\na-2,true\n")
    # Then they are labelled, without those columns
    assert (result["outcome"], result["rows"]) == ("labelled", 3)
    (upload,) = world.ledger.waiting()
    table = pl.read_parquet(io.BytesIO(world.store.read(upload.key)))
    assert table.select("carrier", "dest", "dep_delay").null_count().row(0) == (3, 3, 3)
    # And a run accepts them, though the contract requires these columns of every other upload
    assert contract.features[0].required
    world.open_run("r1")
    assert world.load("validate").handler({"run": "r1"}, None)["outcome"] == "train"


def test_labels_with_plain_keys_join_hashed_ones(world: World, rows: list[dict[str, Any]]) -> None:
    # Given a personal row key, with a pattern that no hash matches
    make_personal(world, flight_id="hash")
    arn = client("secretsmanager").create_secret(Name="hashes", SecretString="k")["ARN"]
    hashes = Pseudonyms(b"k")
    captured = [row | {"flight_id": hashes.of("flight_id", row["flight_id"])} for row in rows[:3]]
    capture(world, captured, "a")
    function = world.load("monitor", hash_secret=arn)
    # When labels are uploaded by the plain key, and by inference id
    result = upload_labels(world, function, "truth.csv", f"flight_id,late\n{rows[0]['flight_id']},true\n")
    other = upload_labels(world, function, "ids.csv", "id,late\na-1,true\n")
    # Then both are joined, and the row has the key of the label, and with it its side of the split
    assert (result["rows"], other["rows"]) == (1, 1)
    tables = [pl.read_parquet(io.BytesIO(world.store.read(item.key))) for item in world.ledger.waiting()]
    assert sorted(table["flight_id"][0] for table in tables) == sorted([rows[0]["flight_id"], captured[1]["flight_id"]])
