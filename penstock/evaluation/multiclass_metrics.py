"""Metrics of a model with three classes or more, computed by scikit-learn.

A mean over classes includes only those that occur in the rows: a slice or a resample may lack a class, which then has
no recall and no ROC curve. The training job refuses a holdout that lacks one.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from penstock.evaluation.metrics import Evaluation, EvaluationError, Metrics, calibration_error, measure_part
from penstock.evaluation.multiclass import Places, class_name, labels, normalised
from penstock.scoring.signature import Class, Scores
from penstock.spec.model import METRICS


class ClassMetrics(TypedDict):
    """The metrics of one class against all others (JSON)."""

    name: str
    rows: int
    """Rows of the holdout that are of this class."""
    precision: float
    recall: float
    f1: float
    roc_auc: float


def places(values: Sequence[Any], classes: Sequence[Class]) -> Places:
    """Return the index of each value's class. Shape (rows,).

    Raises:
        EvaluationError: a value that is none of them.
    """
    place_of = {item: place for place, item in enumerate(classes)}
    if unknown := sorted(set(values) - set(place_of)):
        raise EvaluationError(f"{unknown[0]!r} is none of the {len(classes)} classes of the training rows")
    return np.array([place_of[value] for value in values], dtype=np.int64)


def measure_classes(truth: Places, scores: Scores) -> Metrics:
    """Measure the scores of a multiclass classification.

    `roc_auc` is the mean over the classes of one against the rest, `brier` the mean squared distance to the truth over
    all classes (0-2), `calibration_error` that of the label's own probability (Guo et al. 2017, ICML); `f1`, `recall`
    and `precision` are means over the classes.

    Args:
        truth: shape (rows,), indices of the classes.
        scores: shape (rows, classes), probabilities.

    Raises:
        EvaluationError: no rows, or rows of one class only.
    """
    if len(np.unique(truth)) < 2:
        raise EvaluationError(
            f"the {len(truth)} rows to measure on are all of one class: more data, or another split, is needed"
        )
    predicted, present = labels(scores), np.unique(truth)
    options: Any = {"labels": present, "average": "macro", "zero_division": 0.0}
    recall = float(metrics.recall_score(truth, predicted, **options))
    numbers = _measure_any_rows(truth, scores) | {
        "roc_auc": one_against_rest(truth, scores),
        "balanced_accuracy": recall,
        "f1": float(metrics.f1_score(truth, predicted, **options)),
        "recall": recall,
        "precision": float(metrics.precision_score(truth, predicted, **options)),
        "calibration_error": calibration_error(predicted == truth, normalised(scores).max(axis=1)),
    }
    return {name: numbers[name] for name in METRICS["multiclass"]}


def measure_classes_part(truth: Places, scores: Scores) -> Metrics:
    """Measure a part of the holdout, at least one row; of one class only, the metrics that are defined then."""
    return measure_classes(truth, scores) if len(np.unique(truth)) > 1 else _measure_any_rows(truth, scores)


def measure_rows(truth: npt.NDArray[Any], scores: Scores, threshold: float | None) -> Metrics:
    """Measure some rows of any task; if the target is constant, only the metrics that are defined then.

    Args:
        truth: shape (rows,), at least one: whether a row is positive, the amount, or the index of its class.
        scores: shape (rows,), or (rows, classes) for more than two classes.
        threshold: score from which the label is positive; None unless there are two classes.
    """
    if scores.ndim == 2:
        return measure_classes_part(truth, scores)
    return measure_part(truth, scores, threshold)


def _measure_any_rows(truth: Places, scores: Scores) -> Metrics:
    classes, probabilities = list(range(scores.shape[1])), normalised(scores)
    return {
        "log_loss": float(metrics.log_loss(truth, probabilities, labels=classes)),
        "brier": float(metrics.brier_score_loss(truth, probabilities, labels=classes)),
        "accuracy": float(metrics.accuracy_score(truth, labels(scores))),
    }


def one_against_rest(truth: Places, scores: Scores) -> float:
    """Return the mean ROC AUC of each class that occurs against all others; at least two must occur."""
    areas = [metrics.roc_auc_score(truth == place, scores[:, place]) for place in np.unique(truth)]
    return float(np.mean(areas))


def per_class(truth: Places, scores: Scores, classes: Sequence[Class]) -> list[ClassMetrics]:
    """Measure each class against all others; every class must occur."""
    every = range(len(classes))
    numbers = metrics.precision_recall_fscore_support(truth, labels(scores), labels=list(every), zero_division=0.0)
    return [
        ClassMetrics(
            name=class_name(classes[place]),
            rows=int(numbers[3][place]),
            precision=float(numbers[0][place]),
            recall=float(numbers[1][place]),
            f1=float(numbers[2][place]),
            roc_auc=float(metrics.roc_auc_score(truth == place, scores[:, place])),
        )
        for place in every
    ]


def naive_shares(train_truth: Places, classes: int, rows: int) -> Scores:
    """Return the naive baseline: the classes' shares of the training rows. Shape (rows, classes)."""
    counts = np.bincount(train_truth, minlength=classes)
    return np.tile(counts / counts.sum(), (rows, 1))


def evaluate_classes(
    truth: Places,
    classes: Sequence[Class],
    *,
    challenger: Scores,
    baseline: Scores,
    champion: tuple[int, Scores] | None,
) -> Evaluation:
    """Evaluate a multiclass classification for the gates; the champion as package version and scores."""
    return Evaluation(
        task="multiclass",
        holdout_rows=len(truth),
        positives=None,
        spread=None,
        threshold=None,
        challenger=measure_classes(truth, challenger),
        baseline=measure_classes(truth, baseline),
        champion=measure_classes(truth, champion[1]) if champion else None,
        champion_version=champion[0] if champion else None,
        per_class=list(per_class(truth, challenger, classes)),
    )
