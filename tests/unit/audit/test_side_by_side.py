"""Side-by-side comparison of runs and versions."""

import pytest

from penstock.audit import side_by_side
from penstock.ledger.ledger import Ledger, NoRecordError, Run
from tests.support.world import World

VERDICT = {"gate": "roc_auc min", "number": 0.9, "threshold": 0.8, "passed": True, "sentence": "good"}


@pytest.fixture
def ledger(world: World) -> Ledger:
    """Two runs that registered versions, the second deeper and on more rows; a third that came to nothing."""
    ledger = world.ledger
    for number, auc, rows in ((1, 0.8, 10), (2, 0.9, 30)):
        run, at = f"run{number}", f"2026-01-0{number}T00:00:00.000+00:00"
        ledger.open_run(Run(run, "upload", "an upload", (), at))
        parameters = {"training": {"params": {"depth": number}, "spot": True}, "gates": []}
        inputs = {"data": f"d{number}", "code": "c", "contract": "k"}
        ledger.put_dataset(f"d{number}", rows=rows)
        ledger.note_step(run, "validate", at, dataset=f"d{number}", parameters=parameters, inputs=inputs)
        evaluation = {"challenger": {"roc_auc": auc, "log_loss": 1 - auc}}
        ledger.note_step(run, "gates", at, evaluation=evaluation, verdicts=[VERDICT][: number - 1])
        ledger.note_step(run, "register", at, version=number)
        ledger.put_version(
            number, run=run, dataset=f"d{number}", sha256=f"s{number}", code="c", metrics=evaluation["challenger"]
        )
        ledger.end_run(run, "registered", "good", at.replace("00:00:00", "00:01:30"))
    ledger.open_run(Run("run3", "operator", "by hand", (), "2026-01-03T00:00:00.000+00:00"))
    return ledger


def test_runs_are_compared(ledger: Ledger) -> None:
    comparison = side_by_side.runs(ledger, ledger.runs())
    assert [(run["id"], run["outcome"], run["rows"], run["seconds"], run["version"]) for run in comparison["runs"]] == [
        ("run3", "open", None, None, None), ("run2", "registered", 30, 90, 2), ("run1", "registered", 10, 90, 1),
    ]  # fmt: skip
    # The best is the largest, or for a loss the smallest
    assert [(item["metric"], item["best"]) for item in comparison["metrics"]] == [("log_loss", [1]), ("roc_auc", [1])]
    assert comparison["metrics"][1]["values"] == [None, 0.9, 0.8]
    assert comparison["gates"] == [{"gate": "roc_auc min", "verdicts": [None, VERDICT, None]}]


def test_versions_are_compared(ledger: Ledger) -> None:
    comparison = side_by_side.versions(ledger, 2, 1)
    assert [one["version"] for one in comparison["versions"]] == [2, 1]
    assert comparison["metrics"][1] == {"metric": "roc_auc", "values": [0.9, 0.8], "best": [0], "change": 0.8 - 0.9}
    assert comparison["parameters"] == [{"parameter": "training.params.depth", "values": [2, 1]}]
    assert comparison["digests"]["data"] == ["d2", "d1"]
    assert comparison["digests"]["code"] == ["c", "c"]


def test_a_version_that_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(NoRecordError, match="version 7 of flight-delay"):
        side_by_side.versions(ledger, 1, 7)


@pytest.mark.parametrize(
    ("values", "best"), [([0.5], []), ([0.5, None], []), ([0.5, 0.5], []), ([0.5, 0.7, 0.7], [1, 2])]
)
def test_a_value_is_marked_best_only_if_another_is_worse(values: list[float | None], best: list[int]) -> None:
    (row,) = side_by_side.metrics([{"r2": value, "name": "text", "flag": True} for value in values])
    assert (row["metric"], row["best"]) == ("r2", best)


def test_parameters_that_only_one_has() -> None:
    rows = side_by_side.parameters([{"tuning": None, "a": {}}, {"tuning": {"jobs": 3}, "a": {}}])
    assert rows == [{"parameter": "tuning.jobs", "values": [None, 3]}]
