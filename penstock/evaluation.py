"""Metrics of scores against what really happened; champion, challenger and naive baseline on the same rows.

The numbers are scikit-learn's; here is only which of them, and which way is better.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from penstock.signature import Scores

Truth = npt.NDArray[np.bool_]
Metrics = dict[str, float]


class Evaluation(TypedDict):
    """What the training job hands to the gates; JSON."""

    holdout_rows: int
    positives: float
    """Share of positive rows in the holdout, 0–1."""
    threshold: float
    challenger: Metrics
    baseline: Metrics
    champion: Metrics | None
    champion_version: int | None


class EvaluationError(Exception):
    """Rows on which nothing can be measured."""


def measure(truth: Truth, scores: Scores, threshold: float) -> Metrics:
    """The metrics of scores.

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
    }
    return {name: float(value) for name, value in numbers.items()}


def best_f1_threshold(truth: Truth, scores: Scores) -> float:
    """The score from which labelling positive gives the highest F1."""
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    return float(thresholds[int(np.argmax(f1))])


def naive_scores(train_truth: Truth, rows: int) -> Scores:
    """The naive baseline: every row gets the training rows' share of positives. Shape (rows,)."""
    return np.full(rows, float(np.mean(train_truth)))


def evaluate(
    truth: Truth,
    *,
    challenger: Scores,
    threshold: float,
    baseline: Scores,
    champion: tuple[int, Scores, float] | None,
) -> Evaluation:
    """Everything that gates decide on, for the same holdout rows.

    Args:
        truth: shape (rows,).
        challenger: its scores, shape (rows,).
        threshold: the challenger's decision threshold.
        baseline: the naive scores, shape (rows,).
        champion: package version, scores and threshold of the live model, if there is one.
    """
    return Evaluation(
        holdout_rows=len(truth),
        positives=float(np.mean(truth)),
        threshold=threshold,
        challenger=measure(truth, challenger, threshold),
        baseline=measure(truth, baseline, threshold),
        champion=measure(truth, champion[1], champion[2]) if champion else None,
        champion_version=champion[0] if champion else None,
    )


def positives(values: Sequence[Any], positive: bool | int | str) -> Truth:
    """Which values are the positive class. Shape (rows,)."""
    return np.array([value == positive for value in values], dtype=np.bool_)
