"""Shapley values of one scored row: which mixtures with background rows to score, and the values from their scores.

A feature's value is the change of the mean score over the background when the row's value replaces the background's,
averaged over the orders in which the features are replaced (interventional Shapley values). Arithmetic only:
`penstock.api.explain` scores the mixtures.
"""

from math import comb
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
SEED = 20130101
"""Of the random orders: the same row has the same explanation every time."""


class Parts(NamedTuple):
    """A score in parts: `base` plus the sum of `contributions`, to the rounding of float64."""

    base: float
    contributions: Floats
    """Shape (features,)."""


class Plan(Protocol):
    """The mixtures to score for an explanation, for a number of features and of background rows."""

    from_row: npt.NDArray[np.bool_]
    """Which values of a mixture are the explained row's. Shape (mixtures, features)."""
    background_rows: Places
    """Which background row has a mixture's other values. Shape (mixtures,)."""

    def parts(self, scores: Floats, score: float) -> Parts:
        """Compute the explanation from the mixtures' scores (mixtures,) and the row's own."""


class Exact:
    """All coalitions of features: the definition itself (Shapley 1953), 2^features - 1 mixtures per background row."""

    def __init__(self, features: int, background: int) -> None:
        codes = np.arange(2**features, dtype=np.int64)
        self._bits = 1 << np.arange(features, dtype=np.int64)
        members = (codes[:, None] & self._bits) > 0
        self._codes, self._sizes, self._background = codes, members.sum(axis=1), background
        # The full coalition is the row itself, whose score is known.
        self.from_row = np.repeat(members[:-1], background, axis=0)
        self.background_rows = np.tile(np.arange(background, dtype=np.int64), len(codes) - 1)
        self._weights = np.array([1 / (features * comb(features - 1, size)) for size in range(features)])

    def parts(self, scores: Floats, score: float) -> Parts:
        """Compute `Plan.parts` over all coalitions without a feature, weighted by the share of orders so beginning."""
        values = np.append(scores.reshape(-1, self._background).mean(axis=1), score)
        return Parts(float(values[0]), np.array([self._share(values, bit) for bit in self._bits]))

    def _share(self, values: Floats, bit: int) -> float:
        without = self._codes[self._codes & bit == 0]
        return float(self._weights[self._sizes[without]] @ (values[without | bit] - values[without]))


class Sampled:
    """Random orders of the features, each with its reverse, equally many for every background row.

    Castro, Gómez and Tejada 2009, "Polynomial calculation of the Shapley value based on sampling"; pairs with the
    reverse ("antithetic") as in Mitchell, Cooper, Frank and Holmes 2022, "Sampling Permutations for Shapley Value
    Estimation". Unbiased; exact for a model that is a sum of functions of one or two features.
    """

    def __init__(self, features: int, background: int, pairs: int) -> None:
        # The one generator of NumPy whose numbers no later version changes.
        random = np.random.RandomState(SEED)
        orders = [random.permutation(features) for _ in range(pairs * background)]
        self._orders: Places = np.array([order for one in orders for order in (one, one[::-1])], dtype=np.int64)
        self._before: Places = np.repeat(np.tile(np.arange(background, dtype=np.int64), pairs), 2)
        self._background, self._features = background, features
        steps = np.argsort(self._orders, axis=1)[:, None, :] < np.arange(1, features)[None, :, None]
        nothing = np.zeros((background, features), dtype=np.bool_)
        self.from_row = np.concatenate([nothing, steps.reshape(-1, features)])
        self.background_rows = np.concatenate([np.arange(background), np.repeat(self._before, features - 1)])

    def parts(self, scores: Floats, score: float) -> Parts:
        """Compute `Plan.parts` as the mean change of the score by each feature, over the orders."""
        bases, between = scores[: self._background], scores[self._background :]
        first, last = bases[self._before][:, None], np.full((len(self._orders), 1), score)
        changes = np.diff(np.hstack([first, between.reshape(len(self._orders), -1), last]), axis=1)
        sums = np.bincount(self._orders.ravel(), weights=changes.ravel(), minlength=self._features)
        return Parts(float(bases.mean()), sums / len(self._orders))


def is_exact(features: int, background: int, most: int) -> bool:
    """Return whether every coalition is scored."""
    return features < most.bit_length() and (2**features - 1) * background <= most


def plan(features: int, background: int, most: int) -> Plan:
    """Plan every coalition where that takes at most `most` scorings, else as many pairs of orders as `most` allows.

    Each background row has at least one pair, however small `most` is: 2 * (features - 1) scorings.
    """
    if is_exact(features, background, most):
        return Exact(features, background)
    pairs = (most - background) // (2 * (features - 1) * background)
    return Sampled(features, background, max(1, pairs))
