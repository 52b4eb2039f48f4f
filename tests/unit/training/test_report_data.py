"""The report's numbers: scikit-learn's curves, bounded, seeded, without personal data."""

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from penstock.contract.model import Column, Contract
from penstock.monitoring import drift
from penstock.scoring.model import Model
from training.steps.data.rows import Rows
from training.steps.measure import report_data, report_multiclass
from training.steps.task.multiclass import Multiclass
from training.steps.task.tasks import Binary, Regression

RANDOM = np.random.default_rng(1)
TRUTH = (RANDOM.random(5_000) < 0.3).astype(np.float64)
SCORES = np.clip(TRUTH * 0.3 + RANDOM.random(5_000) * 0.7, 0, 1)
CLASSES = (False, True)
COLUMNS = (
    Column("id", "string", "key"),
    Column("size", "number", "feature"),
    Column("kind", "string", "feature"),
    Column("person", "string", "feature", personal=True),
    Column("good", "boolean", "target"),
)


def contract(*columns: Column) -> Contract:
    return Contract(name="t", version="1", columns=columns or COLUMNS, tolerance=0, digest="d")


def rows(count: int = 1_000, **changed: Any) -> Rows:
    size = np.random.default_rng(2).random(count)
    about = {
        "size": pl.Series(size, dtype=pl.Float32),
        "kind": ["rare" if index < 4 else ("a", "b")[index % 2] for index in range(count)],
        "person": ["Jane Roe"] * count,
        "good": size > 0.4,
    }
    return Rows(pl.DataFrame(about | changed), contract())


class ByName:
    """A model file that looks at `size` alone."""

    class signature:  # noqa: N801
        fields = COLUMNS[1:4]
        threshold = 0.5

    def score(self, columns: Any) -> Any:
        return np.array([value or 0.0 for value in columns["size"]], dtype=np.float64)


def model() -> Model:
    instance: Any = ByName()
    return instance  # type: ignore[no-any-return]


def test_curves_are_scikit_learns_with_fewer_points() -> None:
    result = report_data.curves(TRUTH, SCORES, 0.5, CLASSES)
    assert len(result["roc"]) <= 200
    assert len(result["pr"]) <= 200
    assert (result["roc"][0], result["roc"][-1]) == ([0, 0], [1, 1])
    x, y = np.array(result["roc"]).T
    assert metrics.auc(x, y) == pytest.approx(metrics.roc_auc_score(TRUTH, SCORES), abs=1e-3)
    false, true, _ = metrics.roc_curve(TRUTH, SCORES)
    exact = set(zip(false.tolist(), true.tolist(), strict=True))
    assert {(a, b) for a, b in result["roc"]} <= exact
    assert result["confusion"]["rows"] == metrics.confusion_matrix(TRUTH, SCORES >= 0.5).tolist()
    assert result["confusion"]["classes"] == ["false", "true"]
    assert sum(result["histogram"]["positive"]) == TRUTH.sum()
    assert sum(item["rows"] for item in result["calibration"]) == len(TRUTH)


def test_equal_scores_are_one_bin() -> None:
    result = report_data.curves(TRUTH, np.full(len(TRUTH), 0.3), 0.5, CLASSES)
    assert result["calibration"] == [
        {"score": pytest.approx(0.3), "positive": pytest.approx(TRUTH.mean()), "rows": len(TRUTH)}
    ]


def test_residuals_of_all_models_share_bins_that_count_every_row() -> None:
    # Given a regression's challenger, and a champion with larger errors
    task = Regression(1.0)
    sides = rows(good=SCORES[:1_000])
    scored = {"challenger": (SCORES[:1_000] * 0.9, None), "champion": (SCORES[:1_000] * 3, None)}
    # When both are measured
    result = report_data._measured(task, sides, scored)
    # Then every row is counted, and the bins are the same, so that heights compare
    counted = [item["residuals"] for item in result.values()]
    assert [sum(item["rows"]) + item["outside"] for item in counted] == [1_000, 1_000]
    assert counted[0]["edges"] == counted[1]["edges"]
    assert len(result["challenger"]["points"]) == report_data.CLOUD


def test_equal_residuals_have_a_histogram() -> None:
    edges = report_data.edges_of(SCORES, [SCORES])
    result = report_data.residuals(SCORES, SCORES, edges, points=True)
    assert result["residuals"] == {"edges": [-0.5, 0.5], "rows": [len(SCORES)], "outside": 0}


def test_importance_is_that_of_the_used_column_and_deterministic() -> None:
    task = Binary(CLASSES, 0.5)
    result: Any = report_data.importance(task, model(), rows())
    assert result["columns"][0]["column"] == "size"
    assert result["columns"][0]["drop"] > 0.4
    assert all(item["drop"] == 0 for item in result["columns"][1:])
    assert result == report_data.importance(task, model(), rows())


def test_importance_stops_at_its_time_limit_and_lists_missing_columns() -> None:
    clock = itertools.count(0, report_data.LIMIT_SECONDS * 0.7)
    result: Any = report_data.importance(Binary(CLASSES, 0.5), model(), rows(), lambda: next(clock))
    assert [item["column"] for item in result["columns"]] == ["size"]
    assert result["left_out"] == ["kind", "person"]


def test_one_class_has_no_importance() -> None:
    assert report_data.importance(Binary(CLASSES, 0.5), model(), rows(good=[True] * 1_000)) is None


def test_profile_has_no_personal_and_no_rare_values() -> None:
    result = {item["column"]: item for item in report_data.profile(rows())}
    assert result["size"]["numbers"]["median"] == pytest.approx(0.5, abs=0.05)
    assert result["kind"]["distinct"] == 3
    assert [item["value"] for item in result["kind"]["top"]] == ["a", "b"]
    assert result["person"] == {
        "column": "person", "type": "string", "role": "feature", "personal": True, "missing": 0,
    }  # fmt: skip
    assert "Jane" not in json.dumps(result)
    assert {item["value"] for item in result["good"]["top"]} == {"true", "false"}


def test_missing_values_are_counted() -> None:
    gaps = [None, float("nan"), *([1.5] * 998)]
    result = report_data.profile(rows(size=pl.Series(gaps, dtype=pl.Float32), kind=[""] * 1_000))
    assert [item["missing"] for item in result[:2]] == [2, 1_000]
    assert result[0]["numbers"]["most"] == 1.5
    assert "top" not in result[1]


PLACES: Any = np.repeat([0, 1, 2], 200)
"""Scores of three classes by a model that is sure and mostly right."""
SURE = np.random.default_rng(3).dirichlet(np.ones(3), 600) * 0.5 + 0.5 * np.eye(3)[PLACES]


def test_multiclass_curves_are_scikit_learns() -> None:
    result = report_multiclass.class_curves(PLACES, SURE, (False, "b", 7))
    assert result["confusion"] == {
        "classes": ["false", "b", "7"],
        "rows": metrics.confusion_matrix(PLACES, SURE.argmax(axis=1)).tolist(),
    }
    for place, one in enumerate(result["roc_by_class"]):
        x, y = np.array(one["points"]).T
        assert metrics.auc(x, y) == pytest.approx(metrics.roc_auc_score(place == PLACES, SURE[:, place]), abs=1e-3)
        assert len(one["points"]) <= 200
    # The label's own probability, and how often it was right
    right = (SURE.argmax(axis=1) == PLACES).mean()
    bins = result["calibration"]
    assert sum(item["positive"] * item["rows"] for item in bins) / 600 == pytest.approx(right)
    assert sum(item["score"] * item["rows"] for item in bins) / 600 == pytest.approx(SURE.max(axis=1).mean())


@pytest.mark.parametrize(("classes", "curves"), [(10, 10), (11, 0)])
def test_few_classes_have_a_curve_each(classes: int, curves: int) -> None:
    truth: Any = np.arange(classes)
    result = report_multiclass.class_curves(truth, np.full((classes, classes), 1 / classes), tuple(range(classes)))
    assert len(result["roc_by_class"]) == curves
    assert len(result["confusion"]["rows"]) == classes


class OfThree(ByName):
    """A model file that looks at `size` alone, with three classes."""

    def score(self, columns: Any) -> Any:
        size = np.array(columns["size"], dtype=np.float64)
        return np.column_stack([size / 2, size / 2, 1 - size])


def test_multiclass_importance_is_the_increase_of_the_log_loss() -> None:
    # Given rows whose class follows the size
    permuted = np.random.default_rng(5).random(1_000)
    size = rows().table["size"].to_numpy()
    good = np.where(permuted < size / 2, "a", np.where(permuted < size, "b", "c"))
    instance: Any = OfThree()
    result: Any = report_data.importance(Multiclass(("a", "b", "c")), instance, rows(good=good))
    # Then the loss rises when the sizes are shuffled
    assert result["metric"] == "log_loss"
    assert result["columns"][0]["column"] == "size"
    assert result["columns"][0]["drop"] > 0.1
    assert [item["drop"] for item in result["columns"][1:]] == [0, 0]


def collected(**changed: Any) -> Any:
    sides = {"train": rows(), "holdout": rows(600)}
    scores = model().score(sides["holdout"].columns())
    arguments: dict[str, Any] = {"champion": None, "champion_baseline": None}
    return report_data.collect(Binary(CLASSES, 0.5), model(), sides, scores, **arguments | changed)


def test_champion_has_curves_and_its_baseline_is_compared_with_the_training_rows() -> None:
    # Given a champion whose baseline was counted on other sizes, and has a column that is gone
    moved = rows(size=pl.Series(np.linspace(3, 4, 1_000), dtype=pl.Float32))
    fields: Any = ByName.signature.fields
    baseline = drift.baseline(fields, moved.columns(), np.zeros(1_000))
    baseline |= {"gone": baseline["kind"], "kind": baseline["kind"] | {"edges": [1.0]}}
    champion = (4, np.full(600, 0.5), 0.25)
    # When the document is collected
    result = collected(champion=champion, champion_baseline=baseline)
    # Then the champion has its curves, and of the columns that can be compared one has drifted
    assert result["models"]["champion"]["threshold"] == 0.25
    assert [(item["column"], item["drifted"]) for item in result["drift"]["columns"]] == [("size", True)]
    assert result["drift"]["sentence"].startswith("1 of 1 columns")


def test_document_is_json_and_has_no_champion_without_one() -> None:
    result = collected()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result["models"]) == {"challenger"}
    assert result["drift"] is None


def test_personal_target_has_no_single_amounts() -> None:
    personal = contract(*COLUMNS[:-1], replace(COLUMNS[-1], type="number", personal=True))
    sides = Rows(rows(good=SCORES[:1_000]).table, personal)
    result = report_data._measured(Regression(1.0), sides, {"challenger": (SCORES[:1_000], None)})
    assert set(result["challenger"]) == {"residuals"}
    assert set(report_data.profile(sides)[-1]) == {"column", "type", "role", "personal", "missing"}
