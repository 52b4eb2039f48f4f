"""The hourly drift check."""

import json
from types import ModuleType
from typing import Any

import numpy as np

from penstock.contract.model import Contract
from penstock.monitoring import drift
from tests.support.world import World, client
from tests.unit.monitoring.captured_rows import (
    BASELINE_ROWS,
    capture,
    capture_multiclass,
    go_live,
    multiclass_baseline,
    use_multiclass,
)


def check(function: ModuleType) -> dict[str, Any]:
    reply: dict[str, Any] = function.handler({}, None)
    json.dumps(reply, allow_nan=False)
    return reply


def test_without_a_live_version_there_is_no_data(function: ModuleType) -> None:
    result = check(function)
    assert (result["outcome"], result["sentence"]) == ("no data", "no version is live yet")


def test_without_requests_there_is_no_data(world: World, function: ModuleType, baseline: dict[str, Any]) -> None:
    go_live(world, baseline)
    assert check(function)["outcome"] == "no data"
    assert world.ledger.drifts(10) == []


def test_a_window_with_too_few_rows_waits_for_more(
    world: World, function: ModuleType, baseline: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    # Given fewer rows than a verdict needs
    go_live(world, baseline)
    capture(world, rows[3_000:3_400], "a")
    # When drift is checked twice
    results = [check(function) for _ in range(2)]
    # Then there is no verdict each time, and the rows are not used up
    assert [(result["outcome"], result["rows"]) for result in results] == [("too little data", 400)] * 2
    # And with more rows there is a verdict over all of them
    capture(world, rows[3_400:3_700], "b")
    result = check(function)
    assert (result["outcome"], result["rows"]) == ("no drift", 700)
    # And then nothing is new
    assert check(function)["outcome"] == "no data"
    assert [item["outcome"] for item in world.ledger.drifts(10)] == ["no drift"]


def test_a_shifted_column_is_drift_and_reported(
    world: World, function: ModuleType, baseline: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    go_live(world, baseline)
    capture(world, [row | {"distance": row["distance"] * 3} for row in rows[3_000:3_600]], "a")
    result = check(function)
    assert result["outcome"] == "drift"
    assert [column["column"] for column in result["columns"] if column["drifted"]] == ["distance"]
    assert result["version"] == 1
    report = world.keys("monitor/flight-delay/1/")
    assert len(report) == 2
    names = {
        item["MetricName"]
        for item in client("cloudwatch").list_metrics(Namespace="Penstock/dev/flight-delay")["Metrics"]
    }
    assert names == {"DriftPSI", "WindowRows"}
    assert world.ledger.drifts(1)[0]["sentence"] == result["sentence"]


def test_only_the_live_versions_rows_count(
    world: World, function: ModuleType, baseline: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    go_live(world, baseline, version=2)
    capture(world, rows[:700], "a", version=1)
    capture(world, rows[:50], "b", version=2)
    result = check(function)
    assert (result["outcome"], result["rows"]) == ("too little data", 50)


def test_a_personal_column_that_is_never_captured_is_no_drift(world: World, rows: list[dict[str, Any]]) -> None:
    # Given a model with a personal feature, which is never captured
    path = world.root / "model" / "contract.yaml"
    path.write_text(
        path.read_text().replace("- name: manufacturer\n", "- name: manufacturer\n        classification: personal\n")
    )
    from penstock.contract.odcs import read_contract
    from training.steps.export.onnx_export import fields

    contract = read_contract(world.root / "model")
    assert [column.name for column in contract.features if column.personal] == ["manufacturer"]
    columns = {column.name: [row[column.name] for row in rows[:3_000]] for column in contract.features}
    go_live(world, drift.baseline(fields(contract.features), columns, np.linspace(0, 1, 3_000)))
    # When its captured rows are like its training data
    captured = [{name: value for name, value in row.items() if name != "manufacturer"} for row in rows[3_000:3_700]]
    capture(world, captured, "a")
    # Then there is no drift
    assert check(world.load("monitor"))["outcome"] == "no drift"


def test_a_changed_distribution_of_labels_is_drift(
    world: World, rows: list[dict[str, Any]], contract: Contract
) -> None:
    # Given a live version of which a fifth of the holdout was labelled small
    use_multiclass(world)
    even = np.random.default_rng(0).dirichlet([3, 3, 2], BASELINE_ROWS)
    go_live(world, multiclass_baseline(contract, rows[:BASELINE_ROWS], even))
    # When the same flights are mostly predicted small
    small = np.random.default_rng(1).dirichlet([1, 1, 6], 700).tolist()
    capture_multiclass(world, rows[3_000:3_700], *small)
    result = check(world.load("monitor"))
    # Then the label has drifted
    assert result["outcome"] == "drift"
    assert drift.LABEL in {column["column"] for column in result["columns"] if column["drifted"]}
    assert "(label) (PSI" in result["sentence"]


def test_a_capture_file_that_appears_late_is_still_read(
    world: World, function: ModuleType, baseline: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    # Given a verdict over one file
    go_live(world, baseline)
    capture(world, rows[3_000:3_600], "b")
    assert check(function)["rows"] == 600
    # When another appears whose name sorts before it
    capture(world, rows[3_600:4_200], "a")
    # Then it is read, once
    assert [check(function)["rows"] for _ in range(2)] == [600, 0]
