"""Metrics, compared with scikit-learn."""

import itertools

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from penstock.evaluation import metrics as evaluation
from penstock.spec.model import METRICS

RANDOM = np.random.default_rng(3)
TRUTH = RANDOM.random(500) < 0.3
SCORES = np.clip(0.3 * TRUTH + RANDOM.random(500) * 0.7, 0, 1)


def test_every_metric_is_scikit_learns() -> None:
    numbers = evaluation.measure(TRUTH, SCORES, 0.5)
    labels = SCORES >= 0.5
    assert numbers == {
        "roc_auc": metrics.roc_auc_score(TRUTH, SCORES),
        "pr_auc": metrics.average_precision_score(TRUTH, SCORES),
        "log_loss": metrics.log_loss(TRUTH, SCORES),
        "brier": metrics.brier_score_loss(TRUTH, SCORES),
        "accuracy": metrics.accuracy_score(TRUTH, labels),
        "f1": metrics.f1_score(TRUTH, labels),
        "precision": metrics.precision_score(TRUTH, labels),
        "recall": metrics.recall_score(TRUTH, labels),
        "calibration_error": evaluation.calibration_error(TRUTH, SCORES),
    }
    assert all(type(value) is float for value in numbers.values())


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_calibration_error_uses_scikit_learns_bins(decimals: int) -> None:
    # Given scores with ties, so that bins are unequal or empty
    scores = np.round(SCORES, decimals)
    observed, predicted = calibration_curve(TRUTH, scores, n_bins=10, strategy="quantile")
    # When each row is counted in the bin of its score
    ends = np.percentile(scores, np.linspace(0, 100, 11))
    rows = [np.sum((scores > low) & (scores <= high)) for low, high in itertools.pairwise([-1, *ends[1:-1], 2])]
    full = [count for count in rows if count]
    # Then the error is the mean distance of the curve from the diagonal
    expected = sum(n * abs(a - b) for n, a, b in zip(full, observed, predicted, strict=True)) / len(scores)
    assert evaluation.calibration_error(TRUTH, scores) == pytest.approx(expected, abs=1e-12)


def test_scores_equal_to_the_true_probability_are_calibrated() -> None:
    scores = RANDOM.random(100_000)
    truth = RANDOM.random(100_000) < scores
    assert evaluation.calibration_error(truth, scores) < 0.01
    assert evaluation.calibration_error(truth, scores**3) > 0.1


def test_threshold_above_all_scores_gives_zeros() -> None:
    numbers = evaluation.measure(TRUTH, SCORES, 2.0)
    assert (numbers["f1"], numbers["precision"], numbers["recall"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("truth", [np.ones(5, dtype=bool), np.zeros(5, dtype=bool), np.array([], dtype=bool)])
def test_rows_of_one_class_are_refused(truth: evaluation.Truth) -> None:
    with pytest.raises(evaluation.EvaluationError, match=f"the {len(truth)} rows to measure on are all of one class"):
        evaluation.measure(truth, np.full(len(truth), 0.5), 0.5)


def test_no_threshold_has_a_higher_f1() -> None:
    # Given the threshold chosen for F1
    best = evaluation.best_f1_threshold(TRUTH, SCORES)
    # When every score is tried as threshold
    values = [metrics.f1_score(TRUTH, threshold <= SCORES) for threshold in SCORES]
    # Then none does better
    assert metrics.f1_score(TRUTH, best <= SCORES) == max(values)


def test_naive_baseline_is_the_share_of_positives() -> None:
    scores = evaluation.naive_scores(TRUTH, 4)
    assert scores.tolist() == [float(TRUTH.mean())] * 4


def test_evaluation_measures_all_models_on_the_same_rows() -> None:
    champion = 1 - SCORES
    baseline = np.full(len(TRUTH), 0.3)
    result = evaluation.evaluate(
        TRUTH, challenger=SCORES, threshold=0.5, baseline=baseline, champion=(7, champion, 0.4)
    )
    assert (result["holdout_rows"], result["positives"], result["threshold"]) == (500, float(TRUTH.mean()), 0.5)
    assert result["challenger"] == evaluation.measure(TRUTH, SCORES, 0.5)
    assert result["baseline"]["roc_auc"] == 0.5
    assert result["champion"] == evaluation.measure(TRUTH, champion, 0.4)
    assert result["champion_version"] == 7


def test_evaluation_without_champion() -> None:
    result = evaluation.evaluate(TRUTH, challenger=SCORES, threshold=0.5, baseline=SCORES, champion=None)
    assert (result["champion"], result["champion_version"]) == (None, None)


def test_positives_are_the_values_equal_to_the_class() -> None:
    assert evaluation.positives(["no", "yes", "yes"], "yes").tolist() == [False, True, True]
    assert evaluation.positives([True, False], True).tolist() == [True, False]


AMOUNTS = 50 + 10 * RANDOM.standard_normal(500)
GUESSES = AMOUNTS + RANDOM.standard_normal(500)


def test_every_metric_of_a_regression_is_scikit_learns() -> None:
    assert evaluation.measure_amounts(AMOUNTS, GUESSES) == {
        "r2": metrics.r2_score(AMOUNTS, GUESSES),
        "rmse": metrics.root_mean_squared_error(AMOUNTS, GUESSES),
        "mae": metrics.mean_absolute_error(AMOUNTS, GUESSES),
        "pinball_10": metrics.mean_pinball_loss(AMOUNTS, GUESSES, alpha=0.1),
        "pinball_90": metrics.mean_pinball_loss(AMOUNTS, GUESSES, alpha=0.9),
    }


def test_spec_lists_the_metrics_of_each_task() -> None:
    assert tuple(evaluation.measure(TRUTH, SCORES, 0.5)) == METRICS["binary"]
    assert tuple(evaluation.measure_amounts(AMOUNTS, GUESSES)) == METRICS["regression"]


@pytest.mark.parametrize("truth", [np.ones(5), np.array([1.0]), np.array([])])
def test_constant_amounts_are_refused(truth: evaluation.Amounts) -> None:
    with pytest.raises(evaluation.EvaluationError, match=f"the same in all of the {len(truth)} rows to measure on"):
        evaluation.measure_amounts(truth, truth)


def test_naive_baseline_of_a_regression_is_the_training_mean() -> None:
    baseline = evaluation.naive_scores(AMOUNTS, len(AMOUNTS))
    result = evaluation.evaluate_amounts(AMOUNTS, challenger=GUESSES, baseline=baseline, champion=(3, AMOUNTS))
    assert baseline.tolist() == [float(AMOUNTS.mean())] * len(AMOUNTS)
    assert result["baseline"]["r2"] == pytest.approx(0)
    assert result["baseline"]["rmse"] == pytest.approx(result["spread"])
    assert (result["task"], result["positives"], result["threshold"]) == ("regression", None, None)
    assert (result["champion_version"], result["champion"] and result["champion"]["rmse"]) == (3, 0.0)
    assert (
        evaluation.evaluate_amounts(AMOUNTS, challenger=GUESSES, baseline=baseline, champion=None)["champion"] is None
    )
