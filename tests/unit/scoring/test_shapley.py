"""Shapley values against their definition and their properties."""

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


def explain(plan: Plan, score: Score, row: Numbers, background: Numbers) -> Parts:
    mixtures = np.where(plan.from_row, row, background[plan.background_rows])
    return plan.parts(score(mixtures), float(score(row[None])[0]))


def by_definition(score: Score, row: Numbers, background: Numbers) -> Numbers:
    """Compute the mean change by a feature over every order of the features and every background row."""
    values = np.zeros(len(row))
    for other in background:
        for order in permutations(range(len(row))):
            mixture = other.copy()
            for feature in order:
                before = score(mixture[None])[0]
                mixture[feature] = row[feature]
                values[feature] += score(mixture[None])[0] - before
    return values / (factorial(len(row)) * len(background))


def random_rows(seed: int, features: int, rows: int) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(seed)
    return random.normal(size=features), random.normal(size=(rows, features))


def interacting_score(rows: Numbers) -> Numbers:
    """Return a score in which all features interact."""
    result: Numbers = np.sin(rows.prod(axis=1)) + np.maximum(rows[:, 0], rows[:, -1]) * rows.sum(axis=1)
    return result


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5])
def test_every_coalition_gives_the_definition(features: int) -> None:
    # Given a score in which everything depends on everything
    row, background = random_rows(features, features, 3)
    # When all coalitions are scored
    result = explain(Exact(features, 3), interacting_score, row, background)
    # Then each value is the mean over all orders
    np.testing.assert_allclose(result.contributions, by_definition(interacting_score, row, background), atol=1e-12)
    assert result.base == pytest.approx(interacting_score(background).mean())


@pytest.mark.parametrize("plan", [Exact(6, 4), Sampled(6, 4, 1), Sampled(6, 4, 5)])
def test_of_a_linear_score_each_value_is_weight_times_distance_from_the_mean(plan: Plan) -> None:
    row, background = random_rows(1, 6, 4)
    weights = np.arange(6) - 2.5
    result = explain(plan, lambda rows: rows @ weights + 7, row, background)
    np.testing.assert_allclose(result.contributions, weights * (row - background.mean(axis=0)), atol=1e-12)


@pytest.mark.parametrize("pairs", [1, 3])
def test_an_order_and_its_reverse_share_the_interaction_of_two_features(pairs: int) -> None:
    # Given a score of products of two features
    row, background = random_rows(2, 8, 4)
    form = np.random.default_rng(3).normal(size=(8, 8))

    def score(rows: Numbers) -> Numbers:
        result: Numbers = np.einsum("ri,ij,rj->r", rows, form, rows)
        return result

    # Then sampled orders give the same as all coalitions
    exact, sampled = (explain(plan, score, row, background) for plan in (Exact(8, 4), Sampled(8, 4, pairs)))
    np.testing.assert_allclose(sampled.contributions, exact.contributions, atol=1e-10)


def test_more_orders_come_closer_to_the_definition() -> None:
    row, background = random_rows(4, 7, 8)
    exact = explain(Exact(7, 8), interacting_score, row, background).contributions
    far = {
        pairs: np.abs(explain(Sampled(7, 8, pairs), interacting_score, row, background).contributions - exact).max()
        for pairs in (1, 256)
    }
    assert far[256] < far[1] / 4
    assert far[256] < 0.05 * np.abs(exact).max()


many = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
plans: Any = st.sampled_from([Exact(5, 3), Sampled(5, 3, 1), Sampled(5, 3, 4)])


@many
@given(seeds, plans)
def test_base_and_contributions_sum_up_to_the_score(seed: int, plan: Plan) -> None:
    row, background = random_rows(seed, 5, 3)
    result = explain(plan, interacting_score, row, background)
    assert result.base + result.contributions.sum() == pytest.approx(float(interacting_score(row[None])[0]), abs=1e-9)


@many
@given(seeds, plans, st.integers(0, 4))
def test_a_feature_without_effect_has_contribution_zero(seed: int, plan: Plan, idle: int) -> None:
    row, background = random_rows(seed, 5, 3)
    result = explain(plan, lambda rows: interacting_score(np.delete(rows, idle, axis=1)), row, background)
    assert result.contributions[idle] == pytest.approx(0, abs=1e-12)


@many
@given(seeds)
def test_equivalent_features_have_equal_contributions(seed: int) -> None:
    # Given two features with equal values, which a score cannot tell apart
    row, background = random_rows(seed, 5, 3)
    row[1], background[:, 1] = row[0], background[:, 0]

    def score(rows: Numbers) -> Numbers:
        values: Numbers = np.sin(rows[:, 0] * rows[:, 1]) + (rows[:, 0] + rows[:, 1]) * rows[:, 2] ** 2 + rows[:, 3]
        return values

    values = explain(Exact(5, 3), score, row, background).contributions
    assert values[0] == pytest.approx(values[1], abs=1e-12)


@pytest.mark.parametrize(
    ("features", "most", "kind"), [(7, 2_032, Exact), (7, 2_031, Sampled), (13, 2_000, Sampled), (2_000, 256, Sampled)]
)
def test_the_number_of_coalitions_decides_the_plan(features: int, most: int, kind: type) -> None:
    result = plan(features, 16, most)
    assert isinstance(result, kind)
    # And never more is scored than allowed, except one pair of orders for each background row
    assert len(result.background_rows) == len(result.from_row) <= max(most, 16 + 2 * 16 * (features - 1))


def test_orders_are_drawn_alike_every_time() -> None:
    first, second = Sampled(9, 4, 2), Sampled(9, 4, 2)
    assert first.from_row.tobytes() == second.from_row.tobytes()
    # And every NumPy version draws the same
    assert np.random.RandomState(20130101).permutation(5).tolist() == [1, 0, 2, 4, 3]
