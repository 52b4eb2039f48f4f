"""What a challenger's file is compared with: the estimator that it was exported from, and the live model."""

import numpy as np

from penstock.scoring.signature import Scores
from training.steps.data.container import StepError

Champion = tuple[int, Scores, float | None]
"""Package version, scores and threshold of the live model."""
EXPORT_TOLERANCE = 1e-4
"""Largest difference between estimator and ONNX file that float32 arithmetic explains: of a probability, or of the
target's spread."""
FLOAT32_TOLERANCE = 1e-6
"""The same, of an amount itself: what remains where amounts are large and lie close together."""


def compared(own: Scores, scores: Scores, tolerance: float) -> float:
    """The largest difference between the estimator's own answers and the file's.

    Args:
        own: shape (rows,), or (rows, classes).
        scores: the file's, of the same shape.
        tolerance: from which on a row counts as scored otherwise.

    Raises:
        StepError: more than one row of a thousand differs beyond the tolerance.
    """
    apart = np.abs(own - scores).reshape(len(scores), -1).max(axis=1)
    if np.mean(apart > tolerance) > 0.001:
        raise StepError(
            f"the ONNX file scores {np.mean(apart > tolerance):.1%} of the rows otherwise than the estimator "
            f"(up to {apart.max():.4g}): a step of the pipeline does not export exactly"
        )
    return float(apart.max())
