"""What the report draws of a model that tells three classes or more apart: confusion, curves by class, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from penstock.evaluation.multiclass import Places, class_name, labels, normalised
from penstock.evaluation.multiclass_metrics import measure_classes_part
from penstock.scoring.signature import Class, Scores
from training.steps.measure.report_curves import Numbers, calibration, thinned

CURVES = 10
"""Classes up to which each has a curve of its own."""


def of_classes(truth: Places, scores: Scores, classes: Sequence[Class]) -> dict[str, Any]:
    """Confusion, the ROC curve of each class against the rest, and calibration of the label's own probability; JSON.

    Args:
        truth: shape (rows,), places of the classes.
        scores: shape (rows, classes).
        classes: in their order.
    """
    said, every = labels(scores), range(len(classes))
    sure = normalised(scores).max(axis=1)
    return {
        "confusion": {
            "classes": [class_name(item) for item in classes],
            "rows": metrics.confusion_matrix(truth, said, labels=list(every)).tolist(),
        },
        "calibration": calibration((said == truth).astype(np.float64), sure),
        "roc_by_class": [
            {"name": class_name(classes[place]), "points": _roc(truth == place, scores[:, place])} for place in every
        ]
        if len(classes) <= CURVES
        else [],
    }


def _roc(truth: Any, scores: Scores) -> list[list[float]]:
    false, true, _ = metrics.roc_curve(truth, scores)
    return thinned(false, true)


def log_score(truth: Numbers, scores: Scores) -> float:
    """The log loss with its sign turned, so that more is better."""
    return -measure_classes_part(truth.astype(np.int64), scores)["log_loss"]
