"""Labels and probabilities of a model with three classes or more: the most probable class is the label.

Without scikit-learn, so that the monitor can import it.
"""

import numpy as np
import numpy.typing as npt

from penstock.scoring.signature import Class, Scores

Places = npt.NDArray[np.int64]
"""Shape (rows,): each row's actual class, as its index among the classes."""


def class_name(item: Class) -> str:
    """Return a class' name for people."""
    return str(item).lower() if isinstance(item, bool) else str(item)


def labels(scores: Scores) -> Places:
    """Return the index of each row's most probable class, the first of equals. Shape (rows,)."""
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def normalise(scores: Scores) -> Scores:
    """Return probabilities whose rows sum to 1 in float64: a file computes float32, which scikit-learn refuses."""
    probabilities: Scores = scores / scores.sum(axis=1, keepdims=True)
    return probabilities
