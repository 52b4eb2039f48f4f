"""Confidence intervals of challenger minus rival, by paired bootstrap on the same holdout rows.

Both models are measured on the same resamples, so that the difficulty of the rows cancels out. It is the percentile
interval of the differences (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), as
`scipy.stats.bootstrap(…, paired=True, method="percentile")` computes it; its two ends leave out (1 - confidence) / 2
each. It is valid for these two model files on rows like the holdout's; it does not cover the variance of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt

from penstock.evaluation.bootstrap import Statistic, class_statistic, resamples, statistic
from penstock.scoring.signature import Scores
from penstock.spec.model import LOWER_IS_BETTER, Gate

SEED = 20_240_229
"""Fixed: the same evaluation gives the same verdict."""
RESAMPLES = 1_000
Rival = Literal["baseline", "champion"]


@dataclass(frozen=True)
class Scored:
    """A model's scores of the holdout rows."""

    scores: Scores
    """Shape (rows,), or (rows, classes) for more than two classes."""
    threshold: float | None
    """Score from which the label is positive; None unless there are two classes."""


class Interval(TypedDict):
    """The interval of one difference, as the gates read it (JSON). Positive is better for every metric."""

    metric: str
    against: Rival
    confidence: float
    difference: float
    low: float
    high: float
    resamples: int


def intervals(
    gates: Sequence[Gate],
    truth: npt.NDArray[np.generic],
    challenger: Scored,
    rivals: dict[Rival, Scored],
    times: int = RESAMPLES,
) -> list[Interval]:
    """Compute the intervals that gates need; without a champion, against the baseline instead.

    Args:
        gates: the model's gates.
        truth: shape (rows,): whether a row is positive, the index of its class, or the amount.
        challenger: its scores of these rows.
        rivals: their scores of these rows: the baseline, and the champion if there is one to compare with.
        times: number of resamples.
    """
    requests = {
        (gate.metric, gate.against if gate.against in rivals else "baseline", gate.confidence)
        for gate in gates
        if gate.against is not None and gate.confidence is not None
    }
    return [
        _interval(metric, against, confidence, truth, (challenger, rivals[against]), times)
        for metric, against, confidence in sorted(requests)
    ]


def _interval(
    metric: str,
    against: Rival,
    confidence: float,
    truth: npt.NDArray[np.generic],
    pair: tuple[Scored, Scored],
    times: int,
) -> Interval:
    first, second = (_statistic(metric, truth, side) for side in pair)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    blocks = resamples(len(truth), times, SEED)
    differences = np.concatenate([first(counts) - second(counts) for counts in blocks]) * sign
    each_row_once = np.ones((1, len(truth)))
    low, high = np.nanquantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        metric=metric,
        against=against,
        confidence=confidence,
        difference=float((first(each_row_once) - second(each_row_once))[0] * sign),
        low=float(low),
        high=float(high),
        resamples=times,
    )


def _statistic(metric: str, truth: npt.NDArray[np.generic], side: Scored) -> Statistic:
    if side.scores.ndim == 2:
        return class_statistic(metric, truth.astype(np.int64), side.scores)
    return statistic(metric, truth, side.scores, side.threshold)
