"""Shapley values of one scored row: which mixtures of it with a background to score, and what their scores come to.

A feature's value is what it adds to the mean score over the background when the row's value takes the background's
place, averaged over the orders in which the features may do so (interventional Shapley values). Arithmetic only: what
scores the mixtures is `penstock.api.explain`'s.
"""

from math import comb
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
SEED = 20130101
"""Of the orders that are drawn: the same row has the same explanation every time."""


class Parts(NamedTuple):
    """A score taken apart: `base` and the sum of `contributions` make it up, to the rounding of float64."""

    base: float
    contributions: Floats
    """Shape (features,)."""


class Plan(Protocol):
    """What is scored to explain a row of so many features before so many background rows."""

    taken: npt.NDArray[np.bool_]
    """Which values of a mixture are the explained row's. Shape (mixtures, features)."""
    others: Places
    """Which background row gives a mixture's other values. Shape (mixtures,)."""

    def parts(self, scores: Floats, score: float) -> Parts:
        """The explanation, of the mixtures' scores (mixtures,) and the row's own."""


class Exact:
    """Every coalition of features: the definition itself (Shapley 1953), 2^features - 1 mixtures a background row."""

    def __init__(self, features: int, background: int) -> None:
        codes = np.arange(2**features, dtype=np.int64)
        self._bits = 1 << np.arange(features, dtype=np.int64)
        taken = (codes[:, None] & self._bits) > 0
        self._codes, self._sizes, self._background = codes, taken.sum(axis=1), background
        # The whole coalition is the row itself, whose score is known.
        self.taken = np.repeat(taken[:-1], background, axis=0)
        self.others = np.tile(np.arange(background, dtype=np.int64), len(codes) - 1)
        self._weights = np.array([1 / (features * comb(features - 1, size)) for size in range(features)])

    def parts(self, scores: Floats, score: float) -> Parts:
        """As `Plan.parts`: over all coalitions without a feature, by the share of orders that begin with them."""
        values = np.append(scores.reshape(-1, self._background).mean(axis=1), score)
        return Parts(float(values[0]), np.array([self._share(values, bit) for bit in self._bits]))

    def _share(self, values: Floats, bit: int) -> float:
        without = self._codes[self._codes & bit == 0]
        return float(self._weights[self._sizes[without]] @ (values[without | bit] - values[without]))


class Sampled:
    """Drawn orders of the features, each with its reverse, as many before every background row.

    Castro, Gómez and Tejada 2009, "Polynomial calculation of the Shapley value based on sampling"; pairs with the
    reverse ("antithetic") as in Mitchell, Cooper, Frank and Holmes 2022, "Sampling Permutations for Shapley Value
    Estimation". Unbiased; of an additive model, or one of pairs of features, exact.
    """

    def __init__(self, features: int, background: int, pairs: int) -> None:
        # The one generator of NumPy's whose numbers no later version changes.
        random = np.random.RandomState(SEED)
        drawn = [random.permutation(features) for _ in range(pairs * background)]
        self._orders: Places = np.array([order for one in drawn for order in (one, one[::-1])], dtype=np.int64)
        self._before: Places = np.repeat(np.tile(np.arange(background, dtype=np.int64), pairs), 2)
        self._background, self._features = background, features
        steps = np.argsort(self._orders, axis=1)[:, None, :] < np.arange(1, features)[None, :, None]
        nothing = np.zeros((background, features), dtype=np.bool_)
        self.taken = np.concatenate([nothing, steps.reshape(-1, features)])
        self.others = np.concatenate([np.arange(background), np.repeat(self._before, features - 1)])

    def parts(self, scores: Floats, score: float) -> Parts:
        """As `Plan.parts`: the mean of what each feature adds where its turn comes."""
        bases, between = scores[: self._background], scores[self._background :]
        first, last = bases[self._before][:, None], np.full((len(self._orders), 1), score)
        added = np.diff(np.hstack([first, between.reshape(len(self._orders), -1), last]), axis=1)
        sums = np.bincount(self._orders.ravel(), weights=added.ravel(), minlength=self._features)
        return Parts(float(bases.mean()), sums / len(self._orders))


def is_exact(features: int, background: int, most: int) -> bool:
    """Whether every coalition is scored."""
    return features < most.bit_length() and (2**features - 1) * background <= most


def plan(features: int, background: int, most: int) -> Plan:
    """Every coalition where that takes at most `most` scorings, else as many pairs of orders as it allows.

    Each background row has one pair however small `most` is: 2 * (features - 1) scorings.
    """
    if is_exact(features, background, most):
        return Exact(features, background)
    pairs = (most - background) // (2 * (features - 1) * background)
    return Sampled(features, background, max(1, pairs))
