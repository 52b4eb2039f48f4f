"""Choose the decision threshold on the validation rows, by the spec's `decision`."""

import numpy as np
from sklearn import metrics

from penstock.evaluation.metrics import EvaluationError, Truth, best_f1_threshold
from penstock.scoring.signature import Scores
from penstock.spec.model import Aim, Cost

ABOVE_ALL = float(np.nextafter(1.0, 2.0))
"""A threshold above every probability."""


def threshold(decision: float | str | Aim, truth: Truth, scores: Scores) -> float:
    """Choose the score from which a label is positive.

    Args:
        decision: the spec's `decision`.
        truth: shape (rows,), whether the row is positive.
        scores: shape (rows,), probability of positive.

    Raises:
        EvaluationError: rows of one class only, or a precision that no threshold reaches.
    """
    if isinstance(decision, float):
        return decision
    if len(np.unique(truth)) < 2:
        raise EvaluationError(f"the {len(truth)} validation rows are all of one class: more data is needed")
    if not isinstance(decision, Aim):
        return best_f1_threshold(truth, scores)
    if decision.cost is not None:
        return cheapest(decision.cost, truth, scores)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    if decision.recall is not None:
        # Recall falls as the threshold rises, so the last one that reaches the aim has the fewest false positives.
        return float(thresholds[np.flatnonzero(recall[:-1] >= decision.recall)[-1]])
    reached = np.flatnonzero(precision[:-1] >= float(decision.precision or 0))
    if len(reached) == 0:
        raise EvaluationError(
            f"no threshold reaches a precision of {decision.precision} on the validation rows (the best is "
            f"{precision[:-1].max():.3f}): ask for less under decision in model.yaml"
        )
    return float(thresholds[reached[np.argmax(recall[reached])]])


def cheapest(cost: Cost, truth: Truth, scores: Scores) -> float:
    """Return the threshold with the lowest cost of errors; `ABOVE_ALL` if labelling nothing positive is cheapest."""
    false_positive, true_positive, thresholds = metrics.roc_curve(truth, scores, drop_intermediate=False)
    missed = (1 - true_positive) * truth.sum() * cost.false_negative
    costs = missed + false_positive * (~truth).sum() * cost.false_positive
    return min(float(thresholds[int(np.argmin(costs))]), ABOVE_ALL)
