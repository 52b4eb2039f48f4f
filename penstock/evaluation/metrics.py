"""Metrics of scores against the truth; champion, challenger and naive baseline on the same rows.

scikit-learn computes them; this module chooses which.
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
"""Bins of the calibration error."""


class Evaluation(TypedDict):
    """The training job's measurements, which the gates check; JSON."""

    task: Task
    holdout_rows: int
    positives: float | None
    """Share of positive rows in the holdout, 0–1; None where there are not two classes."""
    spread: float | None
    """Standard deviation of a regression's target in the holdout, in its unit; None where there are classes."""
    threshold: float | None
    """The challenger's; None where there are not two classes."""
    challenger: Metrics
    baseline: Metrics
    champion: Metrics | None
    champion_version: int | None
    per_class: NotRequired[list[Any]]
    """`multiclass_metrics.ClassMetrics` of the challenger, where there are more than two classes."""
    intervals: NotRequired[list[Interval]]
    """Of the differences that gates check with a confidence."""
    slices: NotRequired[list[Any]]
    """`penstock.evaluation.slices.Slice`, of the columns in the spec's `evaluation.slices`."""
    disparities: NotRequired[list[Any]]
    """`penstock.evaluation.slices.Disparity`, of the columns in the spec's `evaluation.groups`."""
    beside: NotRequired[Metrics]
    """The challenger's cost and risks: `penstock.spec.model.BESIDE`."""
    leaking: NotRequired[str]
    """The feature that predicts best alone, where a gate limits the leakage."""


class EvaluationError(Exception):
    """The rows allow no measurement."""


def measure(truth: Truth, scores: Scores, threshold: float) -> Metrics:
    """Measure the scores of a model with two classes.

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
    """Return the expected calibration error: the distance of scores from the share of positives among like scores.

    The mean over ten equally full bins of scikit-learn's `calibration_curve`, weighted by their rows (Naeini, Cooper &
    Hauskrecht 2015, AAAI). 0 is best; a share of 1.
    """
    scores = np.clip(scores, 0, 1)  # a float32 probability may be a hair above 1
    observed, predicted = calibration_curve(truth, scores, n_bins=BINS, strategy="quantile")
    # calibration_curve does not return how many rows its bins have; these are the same bins.
    inner = np.percentile(scores, np.linspace(0, 1, BINS + 1) * 100)[1:-1]
    rows = np.bincount(np.searchsorted(inner, scores), minlength=BINS)
    return float(np.average(np.abs(observed - predicted), weights=rows[rows > 0]))


def measure_amounts(truth: Amounts, scores: Scores) -> Metrics:
    """Measure a regression's scores; all metrics but `r2` are in the target's unit.

    The pinball losses weigh a prediction that is too high (`pinball_10`: nine times as much as one too low) or too
    low (`pinball_90`).

    Args:
        truth: shape (rows,), the target's actual values.
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
    """Measure some of the holdout's rows; where they all have one truth, by the metrics that it allows.

    Args:
        truth: shape (rows,), at least one: whether a row is positive, or the amount.
        scores: shape (rows,).
        threshold: score from which the label is positive; None for a regression.
    """
    is_constant = len(np.unique(truth)) < 2
    if threshold is None:
        return _measure_constant_amount(truth, scores) if is_constant else measure_amounts(truth, scores)
    if not is_constant:
        return measure(truth, scores, threshold)
    return {
        "log_loss": float(metrics.log_loss(truth, scores, labels=[False, True])),
        "brier": float(np.mean((truth - scores) ** 2)),
        "accuracy": float(metrics.accuracy_score(truth, scores >= threshold)),
    }


def _measure_constant_amount(truth: Amounts, scores: Scores) -> Metrics:
    return {
        "rmse": float(metrics.root_mean_squared_error(truth, scores)),
        "mae": float(metrics.mean_absolute_error(truth, scores)),
        "pinball_10": float(metrics.mean_pinball_loss(truth, scores, alpha=0.1)),
        "pinball_90": float(metrics.mean_pinball_loss(truth, scores, alpha=0.9)),
    }


def best_f1_threshold(truth: Truth, scores: Scores) -> float:
    """Return the score from which labelling positive gives the highest F1."""
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    return float(thresholds[int(np.argmax(f1))])


def naive_scores(train_truth: Truth | Amounts, rows: int) -> Scores:
    """Return the naive baseline: for every row the training rows' share of positives, or mean. Shape (rows,)."""
    return np.full(rows, float(np.mean(train_truth)))


def evaluate(
    truth: Truth,
    *,
    challenger: Scores,
    threshold: float,
    baseline: Scores,
    champion: tuple[int, Scores, float] | None,
) -> Evaluation:
    """Measure challenger, baseline and champion of a model with two classes on the same holdout rows.

    Args:
        truth: shape (rows,).
        challenger: its scores, shape (rows,).
        threshold: the challenger's decision threshold.
        baseline: the naive scores, shape (rows,).
        champion: package version, scores and threshold of the live model, if there is one.
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
    """Measure a regression as `evaluate` does; the champion as package version and scores."""
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
    """Return which values are the positive class. Shape (rows,)."""
    return np.array([value == positive for value in values], dtype=np.bool_)
