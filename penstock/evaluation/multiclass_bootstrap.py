"""Metrics of many bootstrap resamples of a model with three classes or more; see `resampling`.

A resample may lack a rare class: a mean over classes is then over those that it drew, as in `evaluation_classes`. All
but the ROC AUC are products of counts with a column for each class; the AUC costs what it does of two, once a class.
"""

import numpy as np
import numpy.typing as npt

from penstock.evaluation.bootstrap import Counts, Statistic, mean_of, roc_auc, share
from penstock.evaluation.multiclass import Places, labels, normalised
from penstock.scoring.signature import Scores

Numbers = npt.NDArray[np.float64]


def statistic_of_classes(metric: str, truth: Places, scores: Scores) -> Statistic:
    """A metric as a function of counts.

    Args:
        metric: one of the multiclass ones of `penstock.spec.model.RESAMPLED`.
        truth: shape (rows,), places of the classes.
        scores: shape (rows, classes), probabilities.

    Raises:
        ValueError: another metric.
    """
    if metric == "roc_auc":
        return _one_against_rest(truth, scores)
    if metric in {"f1", "precision", "recall", "balanced_accuracy"}:
        return _of_labels(metric, truth, labels(scores), scores.shape[1])
    return mean_of(_losses(metric, truth, scores))


def _losses(metric: str, truth: Places, scores: Scores) -> Scores:
    """What each row adds to a metric that is a mean over rows. Shape (rows,)."""
    whole, each = normalised(scores), np.arange(len(truth))
    match metric:
        case "log_loss":
            least = np.finfo(np.float64).eps
            lost: Scores = -np.log(np.clip(whole[each, truth], least, 1 - least))
            return lost
        case "brier":
            apart: Scores = ((np.eye(scores.shape[1])[truth] - whole) ** 2).sum(axis=1)
            return apart
        case "accuracy":
            return np.equal(labels(scores), truth).astype(np.float64)
    raise ValueError(f"{metric} has no resamples")


def _of_labels(metric: str, truth: Places, said: Places, classes: int) -> Statistic:
    each = np.eye(classes)
    hits, given, there = each[truth] * (said == truth)[:, None], each[said], each[truth]

    def found(counts: Counts) -> Numbers:
        hit, real = counts @ hits, counts @ there
        whole = {"f1": (counts @ given + real) / 2, "precision": counts @ given}.get(metric, real)
        return _over_drawn(np.nan_to_num(share(hit, whole)), real)

    return found


def _one_against_rest(truth: Places, scores: Scores) -> Statistic:
    present = np.unique(truth)
    each = [roc_auc(truth == place, scores[:, place]) for place in present]
    there = (truth[:, None] == present).astype(np.float64)

    def found(counts: Counts) -> Numbers:
        curves, real = np.column_stack([one(counts) for one in each]), counts @ there
        alone = (real > 0).sum(axis=1) < 2  # and has no rest
        return np.where(alone, np.nan, _over_drawn(np.nan_to_num(curves), real))

    return found


def _over_drawn(values: Numbers, real: Numbers) -> Numbers:
    """The mean over the classes that a resample drew. Shape (resamples,)."""
    drawn = real > 0
    return share((values * drawn).sum(axis=1), drawn.sum(axis=1).astype(np.float64))
