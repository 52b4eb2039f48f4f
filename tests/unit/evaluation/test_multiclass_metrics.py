"""Metrics of many classes: scikit-learn's numbers, of whole holdouts, of parts, and of resamples."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics

from penstock.evaluation import multiclass, multiclass_metrics
from penstock.evaluation.bootstrap import class_statistic, resamples
from penstock.evaluation.confidence import SEED, Scored, intervals
from penstock.evaluation.metrics import EvaluationError, calibration_error
from penstock.evaluation.slices import slices
from penstock.spec.model import METRICS, RESAMPLED, Gate

RANDOM = np.random.default_rng(11)
ROWS, CLASSES = 600, ("early", "late", "on time", "rare")
EVERY = list(range(len(CLASSES)))
TRUTH: Any = RANDOM.choice(len(CLASSES), ROWS, p=[0.3, 0.3, 0.39, 0.01])


def scores(help_: float, seed: int) -> Any:
    """With ties, as a file gives them: float32, whose rows sum to 1 almost."""
    random = np.random.default_rng(seed)
    numbers = np.round(random.random((ROWS, len(CLASSES))) + help_ * np.eye(len(CLASSES))[TRUTH], 1) + 0.01
    return (numbers / numbers.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


GOOD, POOR = scores(0.8, 1), scores(0.1, 2)


def test_every_metric_equals_scikit_learns() -> None:
    numbers = multiclass_metrics.measure_classes(TRUTH, GOOD)
    whole = GOOD / GOOD.sum(axis=1, keepdims=True)
    predicted = GOOD.argmax(axis=1)
    expected = {
        "log_loss": metrics.log_loss(TRUTH, whole, labels=EVERY),
        "roc_auc": metrics.roc_auc_score(TRUTH, GOOD, multi_class="ovr", average="macro"),
        "brier": metrics.brier_score_loss(TRUTH, whole, labels=EVERY),
        "accuracy": metrics.accuracy_score(TRUTH, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(TRUTH, predicted),
        "f1": metrics.f1_score(TRUTH, predicted, average="macro"),
        "recall": metrics.recall_score(TRUTH, predicted, average="macro"),
        "precision": metrics.precision_score(TRUTH, predicted, average="macro"),
        "calibration_error": calibration_error(predicted == TRUTH, whole.max(axis=1)),
    }
    assert numbers == pytest.approx(expected, abs=1e-9)
    assert tuple(numbers) == METRICS["multiclass"]
    assert all(type(value) is float for value in numbers.values())


def test_each_class_is_scikit_learns_against_the_rest() -> None:
    predicted = GOOD.argmax(axis=1)
    for place, result in enumerate(multiclass_metrics.per_class(TRUTH, GOOD, CLASSES)):
        actual, labelled = place == TRUTH, predicted == place
        assert result == {
            "name": CLASSES[place],
            "rows": int(actual.sum()),
            "precision": pytest.approx(metrics.precision_score(actual, labelled), abs=1e-9),
            "recall": pytest.approx(metrics.recall_score(actual, labelled), abs=1e-9),
            "f1": pytest.approx(metrics.f1_score(actual, labelled), abs=1e-9),
            "roc_auc": pytest.approx(metrics.roc_auc_score(actual, GOOD[:, place]), abs=1e-9),
        }


def test_the_label_is_the_first_of_the_most_probable() -> None:
    probabilities = np.array([[0.2, 0.4, 0.4], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])
    assert multiclass.labels(probabilities).tolist() == [1, 0, 2]


def test_the_naive_baseline_gives_every_row_the_shares_of_the_training_rows() -> None:
    train: Any = np.array([0, 0, 1, 2])
    assert multiclass_metrics.naive_shares(train, 4, 2).tolist() == [[0.5, 0.25, 0.25, 0.0]] * 2


def test_champion_challenger_and_baseline_are_measured_on_the_same_rows() -> None:
    baseline = multiclass_metrics.naive_shares(TRUTH, 4, ROWS)
    result = multiclass_metrics.evaluate_classes(TRUTH, CLASSES, challenger=GOOD, baseline=baseline, champion=(7, POOR))
    assert (result["task"], result["holdout_rows"], result["champion_version"]) == ("multiclass", ROWS, 7)
    assert (result["positives"], result["threshold"], result["spread"]) == (None, None, None)
    assert result["champion"] == multiclass_metrics.measure_classes(TRUTH, POOR)
    # The shares' log loss is the entropy of the classes, their curve says nothing
    shares = np.bincount(TRUTH) / ROWS
    assert result["baseline"]["log_loss"] == pytest.approx(scipy.stats.entropy(shares))
    assert result["baseline"]["roc_auc"] == 0.5
    assert [part["name"] for part in result["per_class"]] == list(CLASSES)
    assert sum(part["rows"] for part in result["per_class"]) == ROWS


@pytest.mark.parametrize("rows", [0, 5])
def test_rows_of_one_class_are_refused(rows: int) -> None:
    with pytest.raises(EvaluationError, match=f"the {rows} rows to measure on are all of one class"):
        multiclass_metrics.measure_classes(np.zeros(rows, dtype=np.int64), np.full((rows, 3), 1 / 3))


def test_a_value_that_is_no_class_is_named() -> None:
    with pytest.raises(EvaluationError, match="'never' is none of the 4 classes of the training rows"):
        multiclass_metrics.places(["late", "never"], CLASSES)
    assert multiclass_metrics.places(["rare", "early"], CLASSES).tolist() == [3, 0]


def test_a_slice_that_lacks_a_class_is_measured_over_its_own_classes() -> None:
    # Given slices, of which one lacks two classes and one has a single one
    values = np.where(TRUTH == 0, "a", np.where(TRUTH == 2, "b", "c")).astype(object)
    values[:40] = np.where(np.isin(TRUTH[:40], [0, 2]), "few", values[:40])
    by_slice = {
        part["value"]: part["metrics"]
        for part in slices({"x": values.tolist()}, TRUTH, {"challenger": Scored(GOOD, None)}, 10)
    }
    few = values == "few"
    # Then the first has every metric, over its two classes, and the other what does not need a second
    predicted = GOOD[few].argmax(axis=1)
    assert by_slice["few"]["challenger"]["recall"] == pytest.approx(
        metrics.recall_score(TRUTH[few], predicted, labels=[0, 2], average="macro"), abs=1e-9
    )
    curves = [metrics.roc_auc_score(TRUTH[few] == place, GOOD[few][:, place]) for place in (0, 2)]
    assert by_slice["few"]["challenger"]["roc_auc"] == pytest.approx(np.mean(curves), abs=1e-9)
    assert set(by_slice["a"]["challenger"]) == {"log_loss", "brier", "accuracy"}


@pytest.mark.parametrize("metric", [name for name in METRICS["multiclass"] if name in RESAMPLED])
@pytest.mark.parametrize("rows", [ROWS, 60], ids=["all", "few, so that draws lack the rare class"])
def test_a_metric_of_a_resample_equals_the_metric_of_its_rows(metric: str, rows: int) -> None:
    # Given resamples, and the rows that each of them drew
    truth, probabilities = TRUTH[-rows:], GOOD[-rows:]
    counts = next(resamples(rows, 25, seed=1))
    samples = [np.repeat(np.arange(rows), row.astype(int)) for row in counts]
    # When scikit-learn measures those rows themselves
    measured = [multiclass_metrics.measure_classes(truth[those], probabilities[those])[metric] for those in samples]
    # Then it is the same number
    assert class_statistic(metric, truth, probabilities)(counts) == pytest.approx(measured, abs=1e-9)


def test_a_resample_of_one_class_has_no_curve() -> None:
    truth: Any = np.array([0, 1, 2])
    counts = np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    areas = class_statistic("roc_auc", truth, np.eye(3))(counts)
    assert np.isnan(areas).tolist() == [True, False]
    with pytest.raises(ValueError, match="calibration_error has no resamples"):
        class_statistic("calibration_error", truth, np.eye(3))


def interval_of(metric: str, challenger: Any, champion: Any) -> Any:
    gate = Gate(metric=metric, against="champion", confidence=0.9)
    baseline = Scored(multiclass_metrics.naive_shares(TRUTH, 4, ROWS), None)
    rivals: Any = {"baseline": baseline, "champion": Scored(champion, None)}
    return intervals([gate], TRUTH, Scored(challenger, None), rivals)[0]


def test_the_interval_equals_scipys() -> None:
    # Given the interval of the difference of two models' log loss, better being positive
    interval = interval_of("log_loss", GOOD, POOR)

    # When scipy resamples what each row adds to it
    def log_losses(probabilities: Any) -> Any:
        return -np.log(probabilities[np.arange(ROWS), TRUTH] / probabilities.sum(axis=1))

    ours = scipy.stats.bootstrap(
        (log_losses(POOR) - log_losses(GOOD),), np.mean, n_resamples=1000, confidence_level=0.9, method="percentile",
        rng=np.random.default_rng(SEED),
    )  # fmt: skip
    # Then both say the same, but for the resamples that chance gave them
    assert interval["low"] == pytest.approx(ours.confidence_interval.low, abs=0.01)
    assert interval["high"] == pytest.approx(ours.confidence_interval.high, abs=0.01)
    assert 0 < interval["low"] < interval["difference"] < interval["high"]


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "balanced_accuracy"])
def test_the_difference_of_a_model_to_itself_is_zero_and_to_a_worse_one_positive(metric: str) -> None:
    same, better = interval_of(metric, GOOD, GOOD), interval_of(metric, GOOD, POOR)
    assert (same["low"], same["difference"], same["high"]) == (0.0, 0.0, 0.0)
    whole = [multiclass_metrics.measure_classes(TRUTH, scores)[metric] for scores in (GOOD, POOR)]
    assert better["difference"] == pytest.approx(whole[0] - whole[1], abs=1e-9)
    assert 0 < better["low"] < better["difference"] < better["high"]
