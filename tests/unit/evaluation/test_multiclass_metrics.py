"""Multiclass metrics of holdouts, slices and resamples, compared with scikit-learn."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics

from penstock.evaluation import multiclass as classes
from penstock.evaluation import multiclass_metrics as evaluation_classes
from penstock.evaluation.bootstrap import class_statistic, resamples
from penstock.evaluation.confidence import SEED, Scored, intervals
from penstock.evaluation.metrics import EvaluationError, calibration_error
from penstock.evaluation.slices import slices
from penstock.spec.model import METRICS, RESAMPLED, Gate

RANDOM = np.random.default_rng(11)
ROWS, CLASSES = 600, ("early", "late", "on time", "rare")
EVERY = list(range(len(CLASSES)))
TRUTH: Any = RANDOM.choice(len(CLASSES), ROWS, p=[0.3, 0.3, 0.39, 0.01])


def scores(signal: float, seed: int) -> Any:
    """Return scores with ties, as a model file gives them: float32, whose rows sum to 1 only approximately."""
    random = np.random.default_rng(seed)
    values = np.round(random.random((ROWS, len(CLASSES))) + signal * np.eye(len(CLASSES))[TRUTH], 1) + 0.01
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


GOOD, POOR = scores(0.8, 1), scores(0.1, 2)


def test_every_metric_is_scikit_learns() -> None:
    numbers = evaluation_classes.measure_classes(TRUTH, GOOD)
    whole = GOOD / GOOD.sum(axis=1, keepdims=True)
    labels = GOOD.argmax(axis=1)
    expected = {
        "log_loss": metrics.log_loss(TRUTH, whole, labels=EVERY),
        "roc_auc": metrics.roc_auc_score(TRUTH, GOOD, multi_class="ovr", average="macro"),
        "brier": metrics.brier_score_loss(TRUTH, whole, labels=EVERY),
        "accuracy": metrics.accuracy_score(TRUTH, labels),
        "balanced_accuracy": metrics.balanced_accuracy_score(TRUTH, labels),
        "f1": metrics.f1_score(TRUTH, labels, average="macro"),
        "recall": metrics.recall_score(TRUTH, labels, average="macro"),
        "precision": metrics.precision_score(TRUTH, labels, average="macro"),
        "calibration_error": calibration_error(labels == TRUTH, whole.max(axis=1)),
    }
    assert numbers == pytest.approx(expected, abs=1e-9)
    assert tuple(numbers) == METRICS["multiclass"]
    assert all(type(value) is float for value in numbers.values())


def test_metrics_of_each_class_are_scikit_learns_against_the_rest() -> None:
    labels = GOOD.argmax(axis=1)
    for place, numbers in enumerate(evaluation_classes.per_class(TRUTH, GOOD, CLASSES)):
        actual, predicted = place == TRUTH, labels == place
        assert numbers == {
            "name": CLASSES[place],
            "rows": int(actual.sum()),
            "precision": pytest.approx(metrics.precision_score(actual, predicted), abs=1e-9),
            "recall": pytest.approx(metrics.recall_score(actual, predicted), abs=1e-9),
            "f1": pytest.approx(metrics.f1_score(actual, predicted), abs=1e-9),
            "roc_auc": pytest.approx(metrics.roc_auc_score(actual, GOOD[:, place]), abs=1e-9),
        }


def test_label_is_the_first_of_the_most_probable_classes() -> None:
    probabilities = np.array([[0.2, 0.4, 0.4], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])
    assert classes.labels(probabilities).tolist() == [1, 0, 2]


def test_naive_baseline_is_the_class_shares_of_the_training_rows() -> None:
    train: Any = np.array([0, 0, 1, 2])
    assert evaluation_classes.naive_shares(train, 4, 2).tolist() == [[0.5, 0.25, 0.25, 0.0]] * 2


def test_evaluation_measures_all_models_on_the_same_rows() -> None:
    baseline = evaluation_classes.naive_shares(TRUTH, 4, ROWS)
    result = evaluation_classes.evaluate_classes(TRUTH, CLASSES, challenger=GOOD, baseline=baseline, champion=(7, POOR))
    assert (result["task"], result["holdout_rows"], result["champion_version"]) == ("multiclass", ROWS, 7)
    assert (result["positives"], result["threshold"], result["spread"]) == (None, None, None)
    assert result["champion"] == evaluation_classes.measure_classes(TRUTH, POOR)
    # The baseline's log loss is the entropy of the classes, its ROC AUC that of chance
    shares = np.bincount(TRUTH) / ROWS
    assert result["baseline"]["log_loss"] == pytest.approx(scipy.stats.entropy(shares))
    assert result["baseline"]["roc_auc"] == 0.5
    assert [part["name"] for part in result["per_class"]] == list(CLASSES)
    assert sum(part["rows"] for part in result["per_class"]) == ROWS


@pytest.mark.parametrize("rows", [0, 5])
def test_rows_of_one_class_are_refused(rows: int) -> None:
    with pytest.raises(EvaluationError, match=f"the {rows} rows to measure on are all of one class"):
        evaluation_classes.measure_classes(np.zeros(rows, dtype=np.int64), np.full((rows, 3), 1 / 3))


def test_unknown_class_is_named_in_the_error() -> None:
    with pytest.raises(EvaluationError, match="'never' is none of the 4 classes of the training rows"):
        evaluation_classes.places(["late", "never"], CLASSES)
    assert evaluation_classes.places(["rare", "early"], CLASSES).tolist() == [3, 0]


def test_slice_without_some_classes_is_measured_on_the_others() -> None:
    # Given slices, of which one lacks two classes and one has a single one
    column = np.where(TRUTH == 0, "a", np.where(TRUTH == 2, "b", "c")).astype(object)
    column[:40] = np.where(np.isin(TRUTH[:40], [0, 2]), "few", column[:40])
    metrics_of = {
        part["value"]: part["metrics"]
        for part in slices({"x": column.tolist()}, TRUTH, {"challenger": Scored(GOOD, None)}, 10)
    }
    few = column == "few"
    # Then the first has every metric, over its two classes, and the other only those defined on one class
    labels = GOOD[few].argmax(axis=1)
    assert metrics_of["few"]["challenger"]["recall"] == pytest.approx(
        metrics.recall_score(TRUTH[few], labels, labels=[0, 2], average="macro"), abs=1e-9
    )
    curves = [metrics.roc_auc_score(TRUTH[few] == place, GOOD[few][:, place]) for place in (0, 2)]
    assert metrics_of["few"]["challenger"]["roc_auc"] == pytest.approx(np.mean(curves), abs=1e-9)
    assert set(metrics_of["a"]["challenger"]) == {"log_loss", "brier", "accuracy"}


@pytest.mark.parametrize("metric", [name for name in METRICS["multiclass"] if name in RESAMPLED])
@pytest.mark.parametrize("rows", [ROWS, 60], ids=["all", "few, so that draws lack the rare class"])
def test_metric_of_a_resample_is_scikit_learns_on_its_rows(metric: str, rows: int) -> None:
    # Given resamples, and the row indices of each
    truth, probabilities = TRUTH[-rows:], GOOD[-rows:]
    counts = next(resamples(rows, 25, seed=1))
    row_indices = [np.repeat(np.arange(rows), row.astype(int)) for row in counts]
    # When scikit-learn measures those rows themselves
    expected = [
        evaluation_classes.measure_classes(truth[indices], probabilities[indices])[metric] for indices in row_indices
    ]
    # Then it is the same number
    assert class_statistic(metric, truth, probabilities)(counts) == pytest.approx(expected, abs=1e-9)


def test_resample_of_one_class_gives_nan() -> None:
    truth: Any = np.array([0, 1, 2])
    counts = np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    result = class_statistic("roc_auc", truth, np.eye(3))(counts)
    assert np.isnan(result).tolist() == [True, False]
    with pytest.raises(ValueError, match="calibration_error has no resamples"):
        class_statistic("calibration_error", truth, np.eye(3))


def compute_interval(metric: str, challenger: Any, champion: Any) -> Any:
    gate = Gate(metric=metric, against="champion", confidence=0.9)
    baseline = Scored(evaluation_classes.naive_shares(TRUTH, 4, ROWS), None)
    rivals: Any = {"baseline": baseline, "champion": Scored(champion, None)}
    return intervals([gate], TRUTH, Scored(challenger, None), rivals)[0]


def test_interval_is_scipys() -> None:
    # Given the interval of the difference of two models' log loss, better being positive
    interval = compute_interval("log_loss", GOOD, POOR)

    # When scipy resamples each row's share of it
    def row_losses(probabilities: Any) -> Any:
        return -np.log(probabilities[np.arange(ROWS), TRUTH] / probabilities.sum(axis=1))

    expected = scipy.stats.bootstrap(
        (row_losses(POOR) - row_losses(GOOD),), np.mean, n_resamples=1000, confidence_level=0.9, method="percentile",
        rng=np.random.default_rng(SEED),
    )  # fmt: skip
    # Then both agree, up to the random resamples
    assert interval["low"] == pytest.approx(expected.confidence_interval.low, abs=0.01)
    assert interval["high"] == pytest.approx(expected.confidence_interval.high, abs=0.01)
    assert 0 < interval["low"] < interval["difference"] < interval["high"]


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "balanced_accuracy"])
def test_interval_is_zero_for_the_same_model_and_positive_for_a_better(metric: str) -> None:
    same, better = compute_interval(metric, GOOD, GOOD), compute_interval(metric, GOOD, POOR)
    assert (same["low"], same["difference"], same["high"]) == (0.0, 0.0, 0.0)
    whole = [evaluation_classes.measure_classes(TRUTH, probabilities)[metric] for probabilities in (GOOD, POOR)]
    assert better["difference"] == pytest.approx(whole[0] - whole[1], abs=1e-9)
    assert 0 < better["low"] < better["difference"] < better["high"]
