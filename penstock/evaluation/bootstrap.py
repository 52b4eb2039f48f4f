"""Metrics of many bootstrap resamples at once: each resample is a row of counts, how often each holdout row is in it.

scikit-learn's own functions take one resample at a time, and sorting anew for each of a thousand makes a large holdout
cost minutes. Here the rows are sorted once, and a resample is a weighted sum; a test holds each number to
scikit-learn's with the counts as `sample_weight`.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from penstock.scoring.signature import Scores

Counts = npt.NDArray[np.float64]
"""Shape (resamples, rows): how often each row was drawn."""
Statistic = Callable[[Counts], npt.NDArray[np.float64]]
"""A metric of each resample, shape (resamples,); NaN where it is not defined, e.g. rows of one class only."""
CELLS = 2_000_000
"""Counts held in memory at once: 16 MB for each array of their shape."""


def resamples(rows: int, times: int, seed: int) -> Iterator[Counts]:
    """`times` draws of as many rows as there are, with replacement, in blocks; the same for the same arguments."""
    random = np.random.default_rng(seed)
    block = max(1, CELLS // rows)
    for start in range(0, times, block):
        count = min(block, times - start)
        drawn = random.integers(0, rows, size=(count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def statistic(metric: str, truth: npt.NDArray[np.generic], scores: Scores, threshold: float | None) -> Statistic:
    """A metric as a function of counts.

    Args:
        metric: one of `penstock.spec.model.RESAMPLED`.
        truth: shape (rows,): whether a row is positive, or the amount.
        scores: shape (rows,).
        threshold: score from which the label is positive; None for a regression.
    """
    if metric in {"roc_auc", "pr_auc"}:
        return {"roc_auc": roc_auc, "pr_auc": _pr_auc}[metric](truth.astype(bool), scores)
    if metric in {"f1", "precision", "recall"}:
        return _of_labels(metric, truth.astype(bool), scores >= float(threshold or 0))
    if metric == "r2":
        return _r2(truth.astype(np.float64), scores)
    if metric == "rmse":
        squared = mean_of((truth.astype(np.float64) - scores) ** 2)
        return lambda counts: np.sqrt(squared(counts))
    return mean_of(_losses(metric, truth.astype(np.float64), scores, threshold))


def _losses(metric: str, truth: Scores, scores: Scores, threshold: float | None) -> Scores:
    """What each row adds to a metric that is a mean over rows. Shape (rows,)."""
    error = truth - scores
    match metric:
        case "brier":
            return error**2
        case "accuracy":
            return np.asarray((scores >= float(threshold or 0)) == (truth > 0.5), dtype=np.float64)
        case "log_loss":
            least = np.finfo(np.float64).eps
            sure = np.clip(scores, least, 1 - least)
            return -np.log(np.where(truth > 0.5, sure, 1 - sure))
        case "mae":
            return np.abs(error)
        case "pinball_10" | "pinball_90":
            share = int(metric.removeprefix("pinball_")) / 100
            return np.maximum(share * error, (share - 1) * error)
    raise ValueError(f"{metric} has no resamples")


def mean_of(values: Scores) -> Statistic:
    """The mean of what each row adds, shape (rows,)."""
    return lambda counts: counts @ values / counts.sum(axis=1)


def _r2(truth: Scores, scores: Scores) -> Statistic:
    centred = truth - truth.mean()
    squared = (truth - scores) ** 2

    def found(counts: Counts) -> npt.NDArray[np.float64]:
        total = counts @ centred**2 - (counts @ centred) ** 2 / counts.sum(axis=1)
        return 1 - share(counts @ squared, total)

    return found


def _of_labels(metric: str, truth: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]) -> Statistic:
    hits, said, there = ((values).astype(np.float64) for values in (truth & labels, labels, truth))

    def found(counts: Counts) -> npt.NDArray[np.float64]:
        hit = counts @ hits
        # F1 is 2 · hits / (said + there); without anything to divide by it is 0, as in the evaluation.
        total = {"f1": (counts @ said + counts @ there) / 2, "precision": counts @ said, "recall": counts @ there}[
            metric
        ]
        return np.nan_to_num(share(hit, total))

    return found


def roc_auc(truth: npt.NDArray[np.bool_], scores: Scores) -> Statistic:
    """The chance that a positive row scores above a negative one, ties half (Hanley & McNeil 1982)."""
    order, starts = _ties(scores)
    positive = truth[order]

    def found(counts: Counts) -> npt.NDArray[np.float64]:
        drawn = counts[:, order]
        up = np.add.reduceat(drawn * positive, starts, axis=1)
        down = np.add.reduceat(drawn * ~positive, starts, axis=1)
        won = (up * (np.cumsum(down, axis=1) - down / 2)).sum(axis=1)
        return share(won, up.sum(axis=1) * down.sum(axis=1))

    return found


def _pr_auc(truth: npt.NDArray[np.bool_], scores: Scores) -> Statistic:
    """Average precision: the precision at each score, weighted with the recall that it adds."""
    order, starts = _ties(-scores)
    positive = truth[order]

    def found(counts: Counts) -> npt.NDArray[np.float64]:
        drawn = counts[:, order]
        up = np.add.reduceat(drawn * positive, starts, axis=1)
        precision = np.nan_to_num(
            share(np.cumsum(up, axis=1), np.cumsum(np.add.reduceat(drawn, starts, axis=1), axis=1))
        )
        return share((up * precision).sum(axis=1), up.sum(axis=1))

    return found


def _ties(scores: Scores) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The rows in ascending order, and where in it each run of equal scores starts."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) > 0]))
    return order, starts


def share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Part of whole; NaN of nothing."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
