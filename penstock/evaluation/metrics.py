"""Metrics of champion, challenger and naive baseline on the same rows.

scikit-learn computes the numbers; this module selects them.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
from sklearn import metrics
from sklearn.calibration import calibration_curve

from penstock.evaluation.confidence import Interval
from penstock.scoring.signature import Scores
from penstock.spec.model import Task

Truth = npt.NDArray[np.bool_]
Amounts = npt.NDArray[np.float64]
Metrics = dict[str, float]
BINS = 10
"""Number of bins of the calibration error."""


class Evaluation(TypedDict):
    """The training job's result for the gates (JSON)."""

    task: Task
    holdout_rows: int
    positives: float | None
    """Share of positive rows in the holdout, 0–1; None unless there are two classes."""
    spread: float | None
    """Standard deviation of a regression's target in the holdout, in its unit; None for a classification."""
    threshold: float | None
    """The challenger's decision threshold; None unless there are two classes."""
    challenger: Metrics
    baseline: Metrics
    champion: Metrics | None
    champion_version: int | None
    per_class: NotRequired[list[Any]]
    """`multiclass_metrics.ClassMetrics` of the challenger, for more than two classes."""
    intervals: NotRequired[list[Interval]]
    """Intervals of the differences, for gates with `confidence`."""
    slices: NotRequired[list[Any]]
    """`penstock.evaluation.slices.Slice`, for the slice columns of the spec."""
    disparities: NotRequired[list[Any]]
    """`penstock.evaluation.slices.Disparity`, for the group columns of the spec."""
    beside: NotRequired[Metrics]
    """Measures that are no metrics, such as latency, size and leakage: `penstock.spec.model.BESIDE`."""
    leaking: NotRequired[str]
    """The feature that predicts best alone, if a gate needs `leakage`."""


class EvaluationError(Exception):
    """The rows allow no measurement; the message says why."""


def measure(truth: Truth, scores: Scores, threshold: float) -> Metrics:
    """Measure the scores of a binary classification.

    Args:
        truth: shape (rows,), whether the row is positive.
        scores: shape (rows,), probability of positive, 0–1.
        threshold: score from which the label is positive.

    Raises:
        EvaluationError: no rows, or rows of one class only.
    """
    if len(np.unique(truth)) < 2:
        raise EvaluationError(
            f"the {len(truth)} rows to measure on are all of one class: more data, or another split, is needed"
        )
    labels = scores >= threshold
    numbers = {
        "roc_auc": metrics.roc_auc_score(truth, scores),
        "pr_auc": metrics.average_precision_score(truth, scores),
        "log_loss": metrics.log_loss(truth, scores),
        "brier": metrics.brier_score_loss(truth, scores),
        "accuracy": metrics.accuracy_score(truth, labels),
        "f1": metrics.f1_score(truth, labels, zero_division=0.0),
        "precision": metrics.precision_score(truth, labels, zero_division=0.0),
        "recall": metrics.recall_score(truth, labels, zero_division=0.0),
        "calibration_error": calibration_error(truth, scores),
    }
    return {name: float(value) for name, value in numbers.items()}


def calibration_error(truth: Truth, scores: Scores) -> float:
    """Compute the expected calibration error: the distance of scores from the share of positives at that score.

    The mean over ten equally full bins of scikit-learn's `calibration_curve`, weighted by their rows (Naeini, Cooper &
    Hauskrecht 2015, AAAI). From 0 (best) to 1.
    """
    scores = np.clip(scores, 0, 1)  # a float32 probability may be slightly above 1
    observed, predicted = calibration_curve(truth, scores, n_bins=BINS, strategy="quantile")
    # `calibration_curve` does not return the rows per bin, so they are counted in the same bins.
    edges = np.percentile(scores, np.linspace(0, 1, BINS + 1) * 100)[1:-1]
    rows = np.bincount(np.searchsorted(edges, scores), minlength=BINS)
    return float(np.average(np.abs(observed - predicted), weights=rows[rows > 0]))


def measure_amounts(truth: Amounts, scores: Scores) -> Metrics:
    """Measure the scores of a regression; all metrics but `r2` are in the target's unit.

    In `pinball_10` a score that is too high costs nine times as much as one that is too low; in `pinball_90` it is the
    other way round.

    Args:
        truth: shape (rows,), the target's values.
        scores: shape (rows,).

    Raises:
        EvaluationError: fewer than two rows, or a target that is the same in all of them.
    """
    if len(np.unique(truth)) < 2:
        raise EvaluationError(
            f"the target is the same in all of the {len(truth)} rows to measure on: more data, or another split, is "
            "needed"
        )
    numbers = {
        "r2": metrics.r2_score(truth, scores),
        "rmse": metrics.root_mean_squared_error(truth, scores),
        "mae": metrics.mean_absolute_error(truth, scores),
        "pinball_10": metrics.mean_pinball_loss(truth, scores, alpha=0.1),
        "pinball_90": metrics.mean_pinball_loss(truth, scores, alpha=0.9),
    }
    return {name: float(value) for name, value in numbers.items()}


def measure_part(truth: npt.NDArray[Any], scores: Scores, threshold: float | None) -> Metrics:
    """Measure a part of the holdout; if the target is constant, only the metrics that are defined then.

    Args:
        truth: shape (rows,), at least one: whether a row is positive, or the amount.
        scores: shape (rows,).
        threshold: score from which the label is positive; None for a regression.
    """
    is_constant = len(np.unique(truth)) < 2
    if threshold is None:
        result = measure_amounts(truth, scores) if not is_constant else _measure_constant_amounts(truth, scores)
    elif not is_constant:
        result = measure(truth, scores, threshold)
    else:
        result = {
            "log_loss": float(metrics.log_loss(truth, scores, labels=[False, True])),
            "brier": float(np.mean((truth - scores) ** 2)),
            "accuracy": float(metrics.accuracy_score(truth, scores >= threshold)),
        }
    return result


def _measure_constant_amounts(truth: Amounts, scores: Scores) -> Metrics:
    return {
        "rmse": float(metrics.root_mean_squared_error(truth, scores)),
        "mae": float(metrics.mean_absolute_error(truth, scores)),
        "pinball_10": float(metrics.mean_pinball_loss(truth, scores, alpha=0.1)),
        "pinball_90": float(metrics.mean_pinball_loss(truth, scores, alpha=0.9)),
    }


def best_f1_threshold(truth: Truth, scores: Scores) -> float:
    """Return the threshold with the highest F1."""
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    return float(thresholds[int(np.argmax(f1))])


def naive_scores(train_truth: Truth | Amounts, rows: int) -> Scores:
    """Return the naive baseline: the training rows' share of positives, or their mean. Shape (rows,)."""
    return np.full(rows, float(np.mean(train_truth)))


def evaluate(
    truth: Truth,
    *,
    challenger: Scores,
    threshold: float,
    baseline: Scores,
    champion: tuple[int, Scores, float] | None,
) -> Evaluation:
    """Evaluate a binary classification for the gates, all models on the same holdout rows.

    Args:
        truth: shape (rows,).
        challenger: its scores, shape (rows,).
        threshold: the challenger's decision threshold.
        baseline: the naive scores, shape (rows,).
        champion: package version, scores and threshold of the live model; None without one.
    """
    return Evaluation(
        task="binary",
        holdout_rows=len(truth),
        positives=float(np.mean(truth)),
        spread=None,
        threshold=threshold,
        challenger=measure(truth, challenger, threshold),
        baseline=measure(truth, baseline, threshold),
        champion=measure(truth, champion[1], champion[2]) if champion else None,
        champion_version=champion[0] if champion else None,
    )


def evaluate_amounts(
    truth: Amounts, *, challenger: Scores, baseline: Scores, champion: tuple[int, Scores] | None
) -> Evaluation:
    """Evaluate a regression, as `evaluate` does; the champion as package version and scores."""
    return Evaluation(
        task="regression",
        holdout_rows=len(truth),
        positives=None,
        spread=float(np.std(truth)),
        threshold=None,
        challenger=measure_amounts(truth, challenger),
        baseline=measure_amounts(truth, baseline),
        champion=measure_amounts(truth, champion[1]) if champion else None,
        champion_version=champion[0] if champion else None,
    )


def positives(values: Sequence[Any], positive: bool | int | str) -> Truth:
    """Mark the values that are the positive class. Shape (rows,)."""
    return np.array([value == positive for value in values], dtype=np.bool_)
