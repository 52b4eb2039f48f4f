"""Compare the scores of an ONNX file with those of the estimator that it was exported from."""

import numpy as np

from penstock.scoring.signature import Scores
from training.steps.data.container import StepError

Champion = tuple[int, Scores, float | None]
"""Package version, scores and threshold of the live model."""
EXPORT_TOLERANCE = 1e-4
"""Largest difference between estimator and ONNX file by float32 arithmetic: of a probability, or relative to the
target's spread."""
FLOAT32_TOLERANCE = 1e-6
"""The same, relative to the amount itself: it dominates for large amounts with a small spread."""


def largest_difference(own: Scores, scores: Scores, tolerance: float) -> float:
    """Return the largest difference between the estimator's scores and the file's.

    Args:
        own: shape (rows,), or (rows, classes).
        scores: the file's scores, of the same shape.
        tolerance: largest difference that is accepted for a row.

    Raises:
        StepError: more than one row of a thousand differs beyond the tolerance.
    """
    differences = np.abs(own - scores).reshape(len(scores), -1).max(axis=1)
    if np.mean(differences > tolerance) > 0.001:
        raise StepError(
            f"the ONNX file scores {np.mean(differences > tolerance):.1%} of the rows otherwise than the estimator "
            f"(up to {differences.max():.4g}): a step of the pipeline does not export exactly"
        )
    return float(differences.max())
