"""Metrics of many classes: scikit-learn's numbers, of whole holdouts, of parts, and of resamples."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics

from penstock.evaluation import multiclass as classes
from penstock.evaluation import multiclass_metrics as evaluation_classes
from penstock.evaluation.bootstrap import resamples
from penstock.evaluation.confidence import SEED, Scored, intervals
from penstock.evaluation.metrics import EvaluationError, calibration_error
from penstock.evaluation.multiclass_bootstrap import statistic_of_classes
from penstock.evaluation.slices import slices
from penstock.spec.model import METRICS, RESAMPLED, Gate

RANDOM = np.random.default_rng(11)
ROWS, CLASSES = 600, ("early", "late", "on time", "rare")
EVERY = list(range(len(CLASSES)))
TRUTH: Any = RANDOM.choice(len(CLASSES), ROWS, p=[0.3, 0.3, 0.39, 0.01])


def scores(help_: float, seed: int) -> Any:
    """With ties, as a file gives them: float32, whose rows sum to 1 almost."""
    random = np.random.default_rng(seed)
    drawn = np.round(random.random((ROWS, len(CLASSES))) + help_ * np.eye(len(CLASSES))[TRUTH], 1) + 0.01
    return (drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


GOOD, POOR = scores(0.8, 1), scores(0.1, 2)


def test_every_metric_is_scikit_learns() -> None:
    found = evaluation_classes.measure_classes(TRUTH, GOOD)
    whole = GOOD / GOOD.sum(axis=1, keepdims=True)
    said = GOOD.argmax(axis=1)
    expected = {
        "log_loss": metrics.log_loss(TRUTH, whole, labels=EVERY),
        "roc_auc": metrics.roc_auc_score(TRUTH, GOOD, multi_class="ovr", average="macro"),
        "brier": metrics.brier_score_loss(TRUTH, whole, labels=EVERY),
        "accuracy": metrics.accuracy_score(TRUTH, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(TRUTH, said),
        "f1": metrics.f1_score(TRUTH, said, average="macro"),
        "recall": metrics.recall_score(TRUTH, said, average="macro"),
        "precision": metrics.precision_score(TRUTH, said, average="macro"),
        "calibration_error": calibration_error(said == TRUTH, whole.max(axis=1)),
    }
    assert found == pytest.approx(expected, abs=1e-9)
    assert tuple(found) == METRICS["multiclass"]
    assert all(type(value) is float for value in found.values())


def test_each_class_is_scikit_learns_against_the_rest() -> None:
    said = GOOD.argmax(axis=1)
    for place, found in enumerate(evaluation_classes.per_class(TRUTH, GOOD, CLASSES)):
        there, here = place == TRUTH, said == place
        assert found == {
            "name": CLASSES[place],
            "rows": int(there.sum()),
            "precision": pytest.approx(metrics.precision_score(there, here), abs=1e-9),
            "recall": pytest.approx(metrics.recall_score(there, here), abs=1e-9),
            "f1": pytest.approx(metrics.f1_score(there, here), abs=1e-9),
            "roc_auc": pytest.approx(metrics.roc_auc_score(there, GOOD[:, place]), abs=1e-9),
        }


def test_the_label_is_the_first_of_the_most_probable() -> None:
    given = np.array([[0.2, 0.4, 0.4], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])
    assert classes.labels(given).tolist() == [1, 0, 2]


def test_the_naive_baseline_gives_every_row_the_shares_of_the_training_rows() -> None:
    train: Any = np.array([0, 0, 1, 2])
    assert evaluation_classes.naive_shares(train, 4, 2).tolist() == [[0.5, 0.25, 0.25, 0.0]] * 2


def test_champion_challenger_and_baseline_are_measured_on_the_same_rows() -> None:
    baseline = evaluation_classes.naive_shares(TRUTH, 4, ROWS)
    found = evaluation_classes.evaluate_classes(TRUTH, CLASSES, challenger=GOOD, baseline=baseline, champion=(7, POOR))
    assert (found["task"], found["holdout_rows"], found["champion_version"]) == ("multiclass", ROWS, 7)
    assert (found["positives"], found["threshold"], found["spread"]) == (None, None, None)
    assert found["champion"] == evaluation_classes.measure_classes(TRUTH, POOR)
    # The shares' log loss is the entropy of the classes, their curve says nothing
    shares = np.bincount(TRUTH) / ROWS
    assert found["baseline"]["log_loss"] == pytest.approx(scipy.stats.entropy(shares))
    assert found["baseline"]["roc_auc"] == 0.5
    assert [part["name"] for part in found["per_class"]] == list(CLASSES)
    assert sum(part["rows"] for part in found["per_class"]) == ROWS


@pytest.mark.parametrize("rows", [0, 5])
def test_rows_of_one_class_are_refused(rows: int) -> None:
    with pytest.raises(EvaluationError, match=f"the {rows} rows to measure on are all of one class"):
        evaluation_classes.measure_classes(np.zeros(rows, dtype=np.int64), np.full((rows, 3), 1 / 3))


def test_a_value_that_is_no_class_is_named() -> None:
    with pytest.raises(EvaluationError, match="'never' is none of the 4 classes of the training rows"):
        evaluation_classes.places(["late", "never"], CLASSES)
    assert evaluation_classes.places(["rare", "early"], CLASSES).tolist() == [3, 0]


def test_a_slice_that_lacks_a_class_is_measured_by_those_that_it_has() -> None:
    # Given slices, of which one lacks two classes and one has a single one
    named = np.where(TRUTH == 0, "a", np.where(TRUTH == 2, "b", "c")).astype(object)
    named[:40] = np.where(np.isin(TRUTH[:40], [0, 2]), "few", named[:40])
    found = {
        part["value"]: part["metrics"]
        for part in slices({"x": named.tolist()}, TRUTH, {"challenger": Scored(GOOD, None)}, 10)
    }
    few = named == "few"
    # Then the first has every metric, over its two classes, and the other what does not need a second
    said = GOOD[few].argmax(axis=1)
    assert found["few"]["challenger"]["recall"] == pytest.approx(
        metrics.recall_score(TRUTH[few], said, labels=[0, 2], average="macro"), abs=1e-9
    )
    curves = [metrics.roc_auc_score(TRUTH[few] == place, GOOD[few][:, place]) for place in (0, 2)]
    assert found["few"]["challenger"]["roc_auc"] == pytest.approx(np.mean(curves), abs=1e-9)
    assert set(found["a"]["challenger"]) == {"log_loss", "brier", "accuracy"}


@pytest.mark.parametrize("metric", [name for name in METRICS["multiclass"] if name in RESAMPLED])
@pytest.mark.parametrize("rows", [ROWS, 60], ids=["all", "few, so that draws lack the rare class"])
def test_a_resamples_metric_is_the_evaluations_on_the_drawn_rows(metric: str, rows: int) -> None:
    # Given resamples, and the rows that each of them drew
    truth, given = TRUTH[-rows:], GOOD[-rows:]
    counts = next(resamples(rows, 25, seed=1))
    drawn = [np.repeat(np.arange(rows), row.astype(int)) for row in counts]
    # When scikit-learn measures those rows themselves
    measured = [evaluation_classes.measure_classes(truth[those], given[those])[metric] for those in drawn]
    # Then it is the same number
    assert statistic_of_classes(metric, truth, given)(counts) == pytest.approx(measured, abs=1e-9)


def test_a_resample_of_one_class_has_no_curve() -> None:
    truth: Any = np.array([0, 1, 2])
    counts = np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    found = statistic_of_classes("roc_auc", truth, np.eye(3))(counts)
    assert np.isnan(found).tolist() == [True, False]
    with pytest.raises(ValueError, match="calibration_error has no resamples"):
        statistic_of_classes("calibration_error", truth, np.eye(3))


def asked(metric: str, challenger: Any, champion: Any) -> Any:
    gate = Gate(metric=metric, against="champion", confidence=0.9)
    baseline = Scored(evaluation_classes.naive_shares(TRUTH, 4, ROWS), None)
    rivals: Any = {"baseline": baseline, "champion": Scored(champion, None)}
    return intervals([gate], TRUTH, Scored(challenger, None), rivals)[0]


def test_the_interval_is_scipys() -> None:
    # Given the interval of the difference of two models' log loss, better being positive
    found = asked("log_loss", GOOD, POOR)

    # When scipy resamples what each row adds to it
    def lost(given: Any) -> Any:
        return -np.log(given[np.arange(ROWS), TRUTH] / given.sum(axis=1))

    ours = scipy.stats.bootstrap(
        (lost(POOR) - lost(GOOD),), np.mean, n_resamples=1000, confidence_level=0.9, method="percentile",
        rng=np.random.default_rng(SEED),
    )  # fmt: skip
    # Then both say the same, but for the resamples that chance gave them
    assert found["low"] == pytest.approx(ours.confidence_interval.low, abs=0.01)
    assert found["high"] == pytest.approx(ours.confidence_interval.high, abs=0.01)
    assert 0 < found["low"] < found["difference"] < found["high"]


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "balanced_accuracy"])
def test_the_same_model_differs_by_nothing_and_a_better_one_by_more(metric: str) -> None:
    same, better = asked(metric, GOOD, GOOD), asked(metric, GOOD, POOR)
    assert (same["low"], same["difference"], same["high"]) == (0.0, 0.0, 0.0)
    whole = [evaluation_classes.measure_classes(TRUTH, given)[metric] for given in (GOOD, POOR)]
    assert better["difference"] == pytest.approx(whole[0] - whole[1], abs=1e-9)
    assert 0 < better["low"] < better["difference"] < better["high"]
