"""Metrics of many bootstrap resamples at once: each resample is a row of counts, how often each holdout row is in it.

scikit-learn's own functions take one resample at a time, and sorting anew for each of a thousand makes a large holdout
cost minutes. Here the rows are sorted once, and a resample is a weighted sum; a test holds each number to
scikit-learn's with the counts as `sample_weight`.

A resample may lack a rare class: with three classes or more, a mean over classes is then over those in the resample, as
in `multiclass_metrics`. All their metrics but the ROC AUC are products of counts with a column for each class; the AUC
costs as much as with two classes, once for each class.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from penstock.evaluation.multiclass import Places, labels, normalised
from penstock.scoring.signature import Scores

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float64]
"""Shape (resamples, rows): how often each row was drawn."""
Statistic = Callable[[Counts], Numbers]
"""A metric of each resample, shape (resamples,); NaN where it is not defined, e.g. rows of one class only."""
CELLS = 2_000_000
"""Counts held in memory at once: 16 MB for each array of their shape."""


def resamples(rows: int, times: int, seed: int) -> Iterator[Counts]:
    """Draw as many rows as there are, with replacement, `times` times; yield the counts in blocks.

    The same arguments give the same draws.
    """
    random = np.random.default_rng(seed)
    block = max(1, CELLS // rows)
    for start in range(0, times, block):
        count = min(block, times - start)
        draws = random.integers(0, rows, size=(count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(draws.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def statistic(metric: str, truth: npt.NDArray[np.generic], scores: Scores, threshold: float | None) -> Statistic:
    """Return a metric of two classes, or of a regression, as a function of counts.

    Args:
        metric: one of `penstock.spec.model.RESAMPLED`.
        truth: shape (rows,): whether a row is positive, or the amount.
        scores: shape (rows,).
        threshold: score from which the label is positive; None for a regression.

    Raises:
        ValueError: another metric.
    """
    if metric in {"roc_auc", "pr_auc"}:
        return {"roc_auc": _roc_auc, "pr_auc": _pr_auc}[metric](truth.astype(bool), scores)
    if metric in {"f1", "precision", "recall"}:
        return _label_metric(metric, truth.astype(bool), scores >= float(threshold or 0))
    if metric == "r2":
        return _r2(truth.astype(np.float64), scores)
    if metric == "rmse":
        squared = _mean((truth.astype(np.float64) - scores) ** 2)
        return lambda counts: np.sqrt(squared(counts))
    return _mean(_row_losses(metric, truth.astype(np.float64), scores, threshold))


def class_statistic(metric: str, truth: Places, scores: Scores) -> Statistic:
    """Return a metric of three classes or more as a function of counts.

    Args:
        metric: one of the multiclass ones of `penstock.spec.model.RESAMPLED`.
        truth: shape (rows,), places of the classes.
        scores: shape (rows, classes), probabilities.

    Raises:
        ValueError: another metric.
    """
    if metric == "roc_auc":
        return _class_roc_auc(truth, scores)
    if metric in {"f1", "precision", "recall", "balanced_accuracy"}:
        return _class_label_metric(metric, truth, labels(scores), scores.shape[1])
    return _mean(_class_row_losses(metric, truth, scores))


# Two classes, and regressions


def _row_losses(metric: str, truth: Scores, scores: Scores, threshold: float | None) -> Scores:
    """Return each row's share of a metric that is a mean over rows. Shape (rows,)."""
    error = truth - scores
    match metric:
        case "brier":
            return error**2
        case "accuracy":
            return np.asarray((scores >= float(threshold or 0)) == (truth > 0.5), dtype=np.float64)
        case "log_loss":
            least = np.finfo(np.float64).eps
            clipped = np.clip(scores, least, 1 - least)
            return -np.log(np.where(truth > 0.5, clipped, 1 - clipped))
        case "mae":
            return np.abs(error)
        case "pinball_10" | "pinball_90":
            share = int(metric.removeprefix("pinball_")) / 100
            return np.maximum(share * error, (share - 1) * error)
    raise ValueError(f"{metric} has no resamples")


def _mean(values: Scores) -> Statistic:
    """Return the mean over rows of `values`, shape (rows,), as a function of counts."""
    return lambda counts: counts @ values / counts.sum(axis=1)


def _r2(truth: Scores, scores: Scores) -> Statistic:
    centred = truth - truth.mean()
    squared = (truth - scores) ** 2

    def r2(counts: Counts) -> Numbers:
        total = counts @ centred**2 - (counts @ centred) ** 2 / counts.sum(axis=1)
        return 1 - _ratio(counts @ squared, total)

    return r2


def _label_metric(metric: str, truth: npt.NDArray[np.bool_], positive: npt.NDArray[np.bool_]) -> Statistic:
    hits, labelled, actual = (values.astype(np.float64) for values in (truth & positive, positive, truth))

    def value(counts: Counts) -> Numbers:
        # F1 is 2 · hits / (labelled + actual); without anything to divide by it is 0, as in the evaluation.
        total = {
            "f1": (counts @ labelled + counts @ actual) / 2,
            "precision": counts @ labelled,
            "recall": counts @ actual,
        }[metric]
        return np.nan_to_num(_ratio(counts @ hits, total))

    return value


def _roc_auc(truth: npt.NDArray[np.bool_], scores: Scores) -> Statistic:
    """Return the chance that a positive row scores above a negative one, ties half (Hanley & McNeil 1982)."""
    order, starts = _ties(scores)
    positive = truth[order]

    def area(counts: Counts) -> Numbers:
        sorted_counts = counts[:, order]
        up = np.add.reduceat(sorted_counts * positive, starts, axis=1)
        down = np.add.reduceat(sorted_counts * ~positive, starts, axis=1)
        wins = (up * (np.cumsum(down, axis=1) - down / 2)).sum(axis=1)
        return _ratio(wins, up.sum(axis=1) * down.sum(axis=1))

    return area


def _pr_auc(truth: npt.NDArray[np.bool_], scores: Scores) -> Statistic:
    """Return the average precision: the precision at each score, weighted with the recall that it adds."""
    order, starts = _ties(-scores)
    positive = truth[order]

    def area(counts: Counts) -> Numbers:
        sorted_counts = counts[:, order]
        up = np.add.reduceat(sorted_counts * positive, starts, axis=1)
        rows = np.add.reduceat(sorted_counts, starts, axis=1)
        precision = np.nan_to_num(_ratio(np.cumsum(up, axis=1), np.cumsum(rows, axis=1)))
        return _ratio((up * precision).sum(axis=1), up.sum(axis=1))

    return area


def _ties(scores: Scores) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows in ascending order, and where in it each run of equal scores starts."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) > 0]))
    return order, starts


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    """Divide; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


# Three classes or more


def _class_row_losses(metric: str, truth: Places, scores: Scores) -> Scores:
    """Return each row's share of a metric that is a mean over rows. Shape (rows,)."""
    probabilities, rows = normalised(scores), np.arange(len(truth))
    match metric:
        case "log_loss":
            least = np.finfo(np.float64).eps
            losses: Scores = -np.log(np.clip(probabilities[rows, truth], least, 1 - least))
            return losses
        case "brier":
            distances: Scores = ((np.eye(scores.shape[1])[truth] - probabilities) ** 2).sum(axis=1)
            return distances
        case "accuracy":
            return np.equal(labels(scores), truth).astype(np.float64)
    raise ValueError(f"{metric} has no resamples")


def _class_label_metric(metric: str, truth: Places, predicted: Places, classes: int) -> Statistic:
    one_hot = np.eye(classes)
    hits, labelled, actual = one_hot[truth] * (predicted == truth)[:, None], one_hot[predicted], one_hot[truth]

    def value(counts: Counts) -> Numbers:
        real = counts @ actual
        total = {"f1": (counts @ labelled + real) / 2, "precision": counts @ labelled}.get(metric, real)
        return _mean_of_present(np.nan_to_num(_ratio(counts @ hits, total)), real)

    return value


def _class_roc_auc(truth: Places, scores: Scores) -> Statistic:
    """Return the mean ROC AUC of each class against the rest."""
    present = np.unique(truth)
    areas = [_roc_auc(truth == place, scores[:, place]) for place in present]
    actual = (truth[:, None] == present).astype(np.float64)

    def area(counts: Counts) -> Numbers:
        values, real = np.column_stack([one(counts) for one in areas]), counts @ actual
        is_single = (real > 0).sum(axis=1) < 2  # there is no rest to compare with
        return np.where(is_single, np.nan, _mean_of_present(np.nan_to_num(values), real))

    return area


def _mean_of_present(values: Numbers, real: Numbers) -> Numbers:
    """Return the mean over the classes that occur in a resample. Shape (resamples,)."""
    present = real > 0
    return _ratio((values * present).sum(axis=1), present.sum(axis=1).astype(np.float64))
