"""Live quality from ground truth, compared with scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from penstock.monitoring import live_quality

CLASSES = [2, 10, 30]
NAMES = [str(item) for item in CLASSES]


def predict_some(rows: int, present: list[int]) -> tuple[list[dict[str, Any]], list[int]]:
    """Return captured rows of three classes, and their truth, mostly of some of the classes."""
    random = np.random.default_rng(4)
    scores = random.dirichlet([2, 1, 0.5], rows)
    captured = [
        {"version": 1, "label": CLASSES[int(row.argmax())], "score": float(row.max()), "scores": row.tolist()}
        for row in scores
    ]
    return captured, [int(random.choice([*present, row["label"]])) for row in captured]


def names(_version: int) -> list[str]:
    return NAMES


@pytest.mark.parametrize("present", [CLASSES, [2, 30]], ids=["every class", "two of three"])
def test_the_metrics_equal_scikit_learns(present: list[int]) -> None:
    # Given predictions of three classes, of which some occur in the truth
    pairs = [pair for pair in zip(*predict_some(500, present), strict=True) if pair[1] in present]
    rows, truth = [row for row, _ in pairs], [real for _, real in pairs]
    labels, scores = [row["label"] for row in rows], [row["scores"] for row in rows]
    # When they are measured
    quality, remark = live_quality.measure("multiclass", rows, truth, names)
    # Then the metrics equal scikit-learn's, as means over the classes that occur
    assert quality == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, labels),
            "balanced_accuracy": metrics.recall_score(truth, labels, labels=present, average="macro"),
            "f1": metrics.f1_score(truth, labels, labels=present, average="macro"),
            "log_loss": metrics.log_loss(truth, scores, labels=CLASSES),
        },
        abs=1e-12,
    )
    # And the class with the lowest recall is named with its rows
    recalls = metrics.recall_score(truth, labels, labels=present, average=None)
    weakest = present[int(np.argmin(recalls))]
    assert remark == f", lowest recall {min(recalls):.3f} of {weakest} in {truth.count(weakest)} rows"


def test_a_regressions_error_equals_scikit_learns() -> None:
    random = np.random.default_rng(4)
    scores, truth = random.normal(size=50).tolist(), random.normal(size=50).tolist()
    quality, _ = live_quality.measure("regression", [{"score": score} for score in scores], truth, names)
    assert quality == pytest.approx({"rmse": metrics.root_mean_squared_error(truth, scores)})


def test_an_unknown_class_counts_as_wrong_and_not_in_the_log_loss() -> None:
    # Given one truth that is none of the version's classes, and one that is
    rows = [{"version": 1, "label": 2, "score": 0.5, "scores": [0.5, 0.3, 0.2]}] * 2
    quality, remark = live_quality.measure("multiclass", rows, [2, 99], names)
    assert (quality["accuracy"], quality["balanced_accuracy"]) == (0.5, 0.5)
    assert quality["log_loss"] == pytest.approx(-np.log(0.5))
    assert "lowest recall 0.000 of 99 in 1 rows" in remark


def test_a_truth_of_probability_zero_counts_as_in_scikit_learn() -> None:
    rows = [{"version": 1, "label": 2, "score": 1.0, "scores": [1.0, 0.0, 0.0]}] * 2
    quality, _ = live_quality.measure("multiclass", rows, [2, 30], names)
    assert quality["log_loss"] == pytest.approx(metrics.log_loss([2, 30], [[1, 0, 0]] * 2, labels=CLASSES))


def test_without_class_names_there_is_no_log_loss() -> None:
    rows, truth = predict_some(20, CLASSES)
    quality, _ = live_quality.measure("multiclass", rows, truth, lambda _: [])
    assert set(quality) == {"accuracy", "balanced_accuracy", "f1"}
