"""Labels of a model with three classes or more: the class with the largest probability.

In a module of its own, so that metrics and bootstrap share it.
"""

import numpy as np
import numpy.typing as npt

from penstock.scoring.signature import Class, Scores

Places = npt.NDArray[np.int64]
"""Shape (rows,): the index of each row's class."""


def class_name(item: Class) -> str:
    """Format a class for people."""
    return str(item).lower() if isinstance(item, bool) else str(item)


def labels(scores: Scores) -> Places:
    """Return the index of each row's most probable class, the first among equals. Shape (rows,)."""
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def normalised(scores: Scores) -> Scores:
    """Scale each row to sum 1 in float64: scikit-learn refuses the float32 sums of a model file."""
    whole: Scores = scores / scores.sum(axis=1, keepdims=True)
    return whole
