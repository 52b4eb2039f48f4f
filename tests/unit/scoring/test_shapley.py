"""The arithmetic of explanations, against the definition written out, and against what a Shapley value has to be."""

from collections.abc import Callable
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.scoring.shapley import Exact, Parts, Plan, Sampled, plan

Numbers = npt.NDArray[np.float64]
Score = Callable[[Numbers], Numbers]
"""Rows (rows, features) → scores (rows,)."""


def explained(made: Plan, score: Score, row: Numbers, background: Numbers) -> Parts:
    mixtures = np.where(made.taken, row, background[made.others])
    return made.parts(score(mixtures), float(score(row[None])[0]))


def by_definition(score: Score, row: Numbers, background: Numbers) -> Numbers:
    """The mean of what a feature adds, over every order of the features and every background row."""
    found = np.zeros(len(row))
    for other in background:
        for order in permutations(range(len(row))):
            mixture = other.copy()
            for feature in order:
                before = score(mixture[None])[0]
                mixture[feature] = row[feature]
                found[feature] += score(mixture[None])[0] - before
    return found / (factorial(len(row)) * len(background))


def drawn(seed: int, features: int, rows: int) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(seed)
    return random.normal(size=features), random.normal(size=(rows, features))


def wild(rows: Numbers) -> Numbers:
    """Features that matter together, all of them."""
    found: Numbers = np.sin(rows.prod(axis=1)) + np.maximum(rows[:, 0], rows[:, -1]) * rows.sum(axis=1)
    return found


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5])
def test_every_coalition_gives_the_definition(features: int) -> None:
    # Given a score in which everything depends on everything
    row, background = drawn(features, features, 3)
    # When all coalitions are scored
    found = explained(Exact(features, 3), wild, row, background)
    # Then each value is the mean over all orders
    np.testing.assert_allclose(found.contributions, by_definition(wild, row, background), atol=1e-12)
    assert found.base == pytest.approx(wild(background).mean())


@pytest.mark.parametrize("made", [Exact(6, 4), Sampled(6, 4, 1), Sampled(6, 4, 5)])
def test_of_a_linear_score_each_value_is_weight_times_distance_from_the_mean(made: Plan) -> None:
    row, background = drawn(1, 6, 4)
    weights = np.arange(6) - 2.5
    found = explained(made, lambda rows: rows @ weights + 7, row, background)
    np.testing.assert_allclose(found.contributions, weights * (row - background.mean(axis=0)), atol=1e-12)


@pytest.mark.parametrize("pairs", [1, 3])
def test_an_order_and_its_reverse_share_what_two_features_do_together(pairs: int) -> None:
    # Given a score of products of two features
    row, background = drawn(2, 8, 4)
    form = np.random.default_rng(3).normal(size=(8, 8))

    def score(rows: Numbers) -> Numbers:
        found: Numbers = np.einsum("ri,ij,rj->r", rows, form, rows)
        return found

    # Then drawn orders say what all coalitions say
    exact, sampled = (explained(made, score, row, background) for made in (Exact(8, 4), Sampled(8, 4, pairs)))
    np.testing.assert_allclose(sampled.contributions, exact.contributions, atol=1e-10)


def test_more_orders_come_closer_to_the_definition() -> None:
    row, background = drawn(4, 7, 8)
    exact = explained(Exact(7, 8), wild, row, background).contributions
    far = {
        pairs: np.abs(explained(Sampled(7, 8, pairs), wild, row, background).contributions - exact).max()
        for pairs in (1, 256)
    }
    assert far[256] < far[1] / 4
    assert far[256] < 0.05 * np.abs(exact).max()


many = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
plans: Any = st.sampled_from([Exact(5, 3), Sampled(5, 3, 1), Sampled(5, 3, 4)])


@many
@given(seeds, plans)
def test_base_and_contributions_sum_up_to_the_score(seed: int, made: Plan) -> None:
    row, background = drawn(seed, 5, 3)
    found = explained(made, wild, row, background)
    assert found.base + found.contributions.sum() == pytest.approx(float(wild(row[None])[0]), abs=1e-9)


@many
@given(seeds, plans, st.integers(0, 4))
def test_a_feature_that_changes_nothing_adds_nothing(seed: int, made: Plan, idle: int) -> None:
    row, background = drawn(seed, 5, 3)
    found = explained(made, lambda rows: wild(np.delete(rows, idle, axis=1)), row, background)
    assert found.contributions[idle] == pytest.approx(0, abs=1e-12)


@many
@given(seeds)
def test_features_that_do_the_same_add_the_same(seed: int) -> None:
    # Given two features with equal values, which a score cannot tell apart
    row, background = drawn(seed, 5, 3)
    row[1], background[:, 1] = row[0], background[:, 0]

    def score(rows: Numbers) -> Numbers:
        found: Numbers = np.sin(rows[:, 0] * rows[:, 1]) + (rows[:, 0] + rows[:, 1]) * rows[:, 2] ** 2 + rows[:, 3]
        return found

    found = explained(Exact(5, 3), score, row, background).contributions
    assert found[0] == pytest.approx(found[1], abs=1e-12)


@pytest.mark.parametrize(
    ("features", "most", "kind"), [(7, 2_032, Exact), (7, 2_031, Sampled), (13, 2_000, Sampled), (2_000, 256, Sampled)]
)
def test_coalitions_are_counted_before_they_are_made(features: int, most: int, kind: type) -> None:
    made = plan(features, 16, most)
    assert isinstance(made, kind)
    # And never is more scored than was asked for, but for one pair of orders a background row
    assert len(made.others) == len(made.taken) <= max(most, 16 + 2 * 16 * (features - 1))


def test_orders_are_drawn_alike_every_time() -> None:
    first, second = Sampled(9, 4, 2), Sampled(9, 4, 2)
    assert first.taken.tobytes() == second.taken.tobytes()
    # And are those that any NumPy draws
    assert np.random.RandomState(20130101).permutation(5).tolist() == [1, 0, 2, 4, 3]
