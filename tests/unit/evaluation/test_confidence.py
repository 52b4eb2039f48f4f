"""Intervals of a difference, compared with scikit-learn (each resample's metric) and scipy (the interval)."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics

from penstock.evaluation import metrics as evaluation
from penstock.evaluation.bootstrap import CELLS, resamples, statistic
from penstock.evaluation.confidence import SEED, Scored, intervals
from penstock.spec.model import METRICS, RESAMPLED, Gate

RANDOM = np.random.default_rng(5)
TRUTH = RANDOM.random(400) < 0.3
GOOD: Any = np.round(np.clip(0.3 * TRUTH + RANDOM.random(400) * 0.7, 0, 1), 2)
"""With ties."""
POOR: Any = np.round(RANDOM.random(400), 2)
AMOUNTS = 1e6 + 10 * RANDOM.standard_normal(400)
GUESSES = AMOUNTS + RANDOM.standard_normal(400)


def data_for(metric: str) -> tuple[Any, Any, float | None]:
    return (TRUTH, GOOD, 0.4) if metric in METRICS["binary"] else (AMOUNTS, GUESSES, None)


@pytest.mark.parametrize("metric", sorted(RESAMPLED & {*METRICS["binary"], *METRICS["regression"]}))
def test_metric_of_a_resample_is_scikit_learns_on_its_rows(metric: str) -> None:
    # Given resamples, and the row indices of each
    truth, scores, threshold = data_for(metric)
    counts = next(resamples(len(truth), 25, seed=1))
    row_indices = [np.repeat(np.arange(len(truth)), row.astype(int)) for row in counts]
    # When scikit-learn measures those rows themselves
    expected = [
        evaluation.measure(truth[rows], scores[rows], threshold)
        if threshold is not None
        else evaluation.measure_amounts(truth[rows], scores[rows])
        for rows in row_indices
    ]
    # Then it is the same number
    result = statistic(metric, truth, scores, threshold)(counts)
    assert result == pytest.approx([numbers[metric] for numbers in expected], abs=1e-9)


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc"])
def test_resample_of_one_class_gives_nan(metric: str) -> None:
    counts = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    scores: Any = np.array([0.1, 0.9])
    result = statistic(metric, np.array([False, True]), scores, 0.5)(counts)
    assert np.isnan(result).tolist() == [True, False, True]


@pytest.mark.parametrize("metric", ["f1", "precision", "recall"])
def test_metrics_are_zero_without_positive_labels(metric: str) -> None:
    counts = next(resamples(400, 5, seed=1))
    assert statistic(metric, TRUTH, GOOD, 2.0)(counts).tolist() == [0.0] * 5


def test_resamples_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resamples(50, 20, seed=3)))
    monkeypatch.setattr("penstock.evaluation.bootstrap.CELLS", 150)
    blocks = list(resamples(50, 20, seed=3))
    assert (len(blocks), CELLS) == (7, 2_000_000)
    assert np.array_equal(np.concatenate(blocks), whole)
    assert whole.sum(axis=1).tolist() == [50] * 20


def compute_intervals(gate: dict[str, Any], challenger: Any, champion: Any = None) -> Any:
    rivals: Any = {"baseline": Scored(np.full(400, 0.3), 0.4)}
    if champion is not None:
        rivals["champion"] = Scored(champion, 0.4)
    return intervals([Gate(**gate)], TRUTH, Scored(challenger, 0.4), rivals)


def test_interval_is_scipys() -> None:
    # Given the interval of the difference of two models' ROC AUC
    gate = {"metric": "roc_auc", "against": "champion", "confidence": 0.9}
    interval = compute_intervals(gate, GOOD, POOR)[0]

    # When scipy resamples the same pairs, with scikit-learn's function
    def difference(truth: Any, first: Any, second: Any) -> Any:
        return metrics.roc_auc_score(truth, first) - metrics.roc_auc_score(truth, second)

    expected = scipy.stats.bootstrap(
        (TRUTH, GOOD, POOR), difference, paired=True, vectorized=False, n_resamples=1000, confidence_level=0.9,
        method="percentile", rng=np.random.default_rng(SEED),
    )  # fmt: skip
    # Then both agree, up to the random resamples
    assert interval["difference"] == pytest.approx(difference(TRUTH, GOOD, POOR), abs=1e-12)
    assert interval["low"] == pytest.approx(expected.confidence_interval.low, abs=0.01)
    assert interval["high"] == pytest.approx(expected.confidence_interval.high, abs=0.01)
    assert (interval["metric"], interval["against"], interval["confidence"], interval["resamples"]) == (
        "roc_auc", "champion", 0.9, 1000,
    )  # fmt: skip
    # And a second computation is identical
    assert compute_intervals(gate, GOOD, POOR)[0] == interval


def test_improvement_is_positive_for_metrics_where_lower_is_better() -> None:
    interval = compute_intervals({"metric": "brier", "against": "champion", "confidence": 0.95}, GOOD, POOR)[0]
    assert 0 < interval["low"] < interval["difference"] < interval["high"]


def test_interval_of_the_same_model_is_zero() -> None:
    interval = compute_intervals({"metric": "log_loss", "against": "champion", "confidence": 0.95}, GOOD, GOOD)[0]
    assert (interval["low"], interval["difference"], interval["high"]) == (0.0, 0.0, 0.0)


def test_first_model_is_compared_with_the_baseline() -> None:
    interval = compute_intervals({"metric": "roc_auc", "against": "champion", "confidence": 0.95}, GOOD)[0]
    assert interval["against"] == "baseline"
    assert interval["difference"] == pytest.approx(metrics.roc_auc_score(TRUTH, GOOD) - 0.5)


def test_gates_without_confidence_need_no_interval() -> None:
    for gate in ({"metric": "f1", "min": 0.5}, {"metric": "f1", "against": "baseline"}):
        assert compute_intervals(gate, GOOD, POOR) == []
