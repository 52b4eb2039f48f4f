"""The report's numbers of a model with three classes or more: confusion, curves by class, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from penstock.evaluation.multiclass import Places, class_name, labels, normalised
from penstock.evaluation.multiclass_metrics import measure_classes_part
from penstock.scoring.signature import Class, Scores
from training.steps.measure.report_curves import Numbers, calibration, thin

CURVES = 10
"""Classes up to which each has a curve of its own."""


def class_curves(truth: Places, scores: Scores, classes: Sequence[Class]) -> dict[str, Any]:
    """Measure confusion, the ROC curve of each class against the rest, and the calibration of the label; JSON.

    Args:
        truth: shape (rows,), places of the classes.
        scores: shape (rows, classes).
        classes: in their order.
    """
    predicted, every = labels(scores), range(len(classes))
    confidence = normalised(scores).max(axis=1)
    return {
        "confusion": {
            "classes": [class_name(item) for item in classes],
            "rows": metrics.confusion_matrix(truth, predicted, labels=list(every)).tolist(),
        },
        "calibration": calibration((predicted == truth).astype(np.float64), confidence),
        "roc_by_class": [
            {"name": class_name(classes[place]), "points": _roc(truth == place, scores[:, place])} for place in every
        ]
        if len(classes) <= CURVES
        else [],
    }


def _roc(truth: Any, scores: Scores) -> list[list[float]]:
    false, true, _ = metrics.roc_curve(truth, scores)
    return thin(false, true)


def log_score(truth: Numbers, scores: Scores) -> float:
    """Return the negative log loss, so that more is better."""
    return -measure_classes_part(truth.astype(np.int64), scores)["log_loss"]
