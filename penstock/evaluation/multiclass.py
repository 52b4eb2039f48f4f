"""The answers of a model that tells three classes or more apart: a probability for each, the largest being the label.

Apart from what measures them, so that metrics and their resamples share it.
"""

import numpy as np
import numpy.typing as npt

from penstock.scoring.signature import Class, Scores

Places = npt.NDArray[np.int64]
"""Shape (rows,): which of the classes a row really is, as its place among them."""


def named(item: Class) -> str:
    """A class as it is written for people."""
    return str(item).lower() if isinstance(item, bool) else str(item)


def labels(scores: Scores) -> Places:
    """The most probable class of each row, the first of equals, as its place. Shape (rows,)."""
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def in_all_one(scores: Scores) -> Scores:
    """Probabilities whose rows sum to 1 in float64 too: a file computes them in float32, which scikit-learn refuses."""
    whole: Scores = scores / scores.sum(axis=1, keepdims=True)
    return whole
