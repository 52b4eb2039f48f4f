"""Confidence intervals of the difference between challenger and rival, by paired bootstrap on the same holdout rows.

Both models are measured on the same resamples, so what makes rows easy or hard for both cancels out. It is the
percentile interval of the differences (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), as
`scipy.stats.bootstrap(…, paired=True, method="percentile")` computes it; its two ends leave out (1 - confidence) / 2
each. It holds for these two model files and for rows like the holdout's, not for the result of another training.
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
    """Shape (rows,); (rows, classes) where there are more than two."""
    threshold: float | None
    """Score from which the label is positive; None where there are not two classes."""


class Interval(TypedDict):
    """The interval of one difference, as the gates read it; JSON. Positive is better, also where a low metric is."""

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
    """Compute the intervals that gates need; while there is no champion, against the baseline.

    Args:
        gates: of the model.
        truth: shape (rows,): whether a row is positive, its class' place, or the amount.
        challenger: on these rows.
        rivals: on these rows: the baseline, and the champion where there is one to compare with.
        times: how many resamples.
    """
    comparisons = {
        (gate.metric, gate.against if gate.against in rivals else "baseline", gate.confidence)
        for gate in gates
        if gate.against is not None and gate.confidence is not None
    }
    return [
        _interval(metric, against, confidence, truth, (challenger, rivals[against]), times)
        for metric, against, confidence in sorted(comparisons)
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
    differences = (
        np.concatenate([first(counts) - second(counts) for counts in resamples(len(truth), times, SEED)]) * sign
    )
    once = np.ones((1, len(truth)))
    low, high = np.nanquantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        metric=metric,
        against=against,
        confidence=confidence,
        difference=float((first(once) - second(once))[0] * sign),
        low=float(low),
        high=float(high),
        resamples=times,
    )


def _statistic(metric: str, truth: npt.NDArray[np.generic], side: Scored) -> Statistic:
    if side.scores.ndim == 2:
        return class_statistic(metric, truth.astype(np.int64), side.scores)
    return statistic(metric, truth, side.scores, side.threshold)
