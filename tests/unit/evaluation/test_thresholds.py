"""Decision thresholds, compared with a search over all scores."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from penstock.evaluation.metrics import EvaluationError
from penstock.evaluation.thresholds import ABOVE_ALL, threshold
from penstock.spec.model import Aim, Cost

RANDOM = np.random.default_rng(8)
TRUTH: Any = RANDOM.random(300) < 0.3
SCORES: Any = np.round(np.clip(0.4 * TRUTH + RANDOM.random(300) * 0.6, 0, 1), 2)
EVERY = sorted({*SCORES.tolist(), ABOVE_ALL})


def total_cost(at: float, cost: Cost) -> float:
    labels = at <= SCORES
    wrong = cost.false_positive * np.sum(labels & ~TRUTH) + cost.false_negative * np.sum(~labels & TRUTH)
    return float(wrong)


@pytest.mark.parametrize(("positive", "negative"), [(1, 1), (1, 5), (5, 1), (1, 1000), (1000, 1)])
def test_no_threshold_costs_less(positive: float, negative: float) -> None:
    cost = Cost(false_positive=positive, false_negative=negative)
    chosen = threshold(Aim(cost=cost), TRUTH, SCORES)
    assert total_cost(chosen, cost) == pytest.approx(min(total_cost(at, cost) for at in EVERY))


def test_threshold_is_above_all_scores_where_no_positive_label_is_cheapest() -> None:
    scores = 1.0 - SCORES
    chosen = threshold(Aim(cost=Cost(false_positive=1e6)), TRUTH, np.where(TRUTH, 0.1, scores))
    assert chosen == ABOVE_ALL
    assert not (chosen <= scores).any()


@pytest.mark.parametrize("least", [0.5, 0.9, 0.999])
def test_recall_aim_gives_the_highest_threshold_that_reaches_it(least: float) -> None:
    chosen = threshold(Aim(recall=least), TRUTH, SCORES)
    enough = [at for at in EVERY if metrics.recall_score(TRUTH, at <= SCORES) >= least]
    assert chosen == max(enough)


@pytest.mark.parametrize("least", [0.5, 0.8])
def test_precision_aim_gives_the_threshold_with_the_highest_recall(least: float) -> None:
    chosen = threshold(Aim(precision=least), TRUTH, SCORES)
    enough = [at for at in EVERY[:-1] if metrics.precision_score(TRUTH, at <= SCORES) >= least]
    most = max(metrics.recall_score(TRUTH, at <= SCORES) for at in enough)
    assert metrics.precision_score(TRUTH, chosen <= SCORES) >= least
    assert metrics.recall_score(TRUTH, chosen <= SCORES) == most


def test_unreachable_precision_raises_with_the_best_one() -> None:
    scores: Any = np.full(300, 0.5)
    with pytest.raises(
        EvaluationError, match=rf"a precision of 0.9 .* \(the best is {TRUTH.mean():.3f}\): ask for less"
    ):
        threshold(Aim(precision=0.9), TRUTH, scores)


@pytest.mark.parametrize("decision", ["f1", Aim(recall=0.9)])
def test_validation_rows_of_one_class_raise(decision: Any) -> None:
    with pytest.raises(EvaluationError, match="the 300 validation rows are all of one class"):
        threshold(decision, np.ones(300, dtype=bool), SCORES)


def test_fixed_threshold_is_used() -> None:
    assert threshold(0.3, TRUTH, SCORES) == 0.3
