"""Target leakage: a feature that predicts too well alone often contains later information."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics
from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penstock.contract.model import Column
from penstock.evaluation.multiclass_metrics import one_against_rest
from training.steps.data.rows import Rows
from training.steps.task.multiclass import Multiclass
from training.steps.task.tasks import Binary, Kind

MOST_ROWS = 50_000
"""Most training rows for a feature's tree."""
LEAVES = {"max_leaf_nodes": 32, "min_samples_leaf": 20, "random_state": 0}


def strongest(task: Kind, train: Rows, holdout: Rows) -> tuple[str, float]:
    """Return the feature that predicts best alone, and its ROC AUC on the holdout; for a regression its R².

    For many classes it is the mean ROC AUC of one against the rest.

    A small tree on the one feature also finds dependences that are not monotone. A text is encoded as the mean of the
    target among the training rows that have it, cross-fitted (scikit-learn's `TargetEncoder`).
    """
    sample = Rows(train.table.sample(min(MOST_ROWS, train.table.height), seed=0), train.contract)
    train_truth, holdout_truth = task.truth(sample), task.truth(holdout)
    areas = {
        column.name: _score_alone(task, _values(column, sample), train_truth, _values(column, holdout), holdout_truth)
        for column in train.contract.features
    }
    name = max(areas, key=lambda name: areas[name])
    return name, areas[name]


def _score_alone(
    task: Kind, train: npt.NDArray[Any], train_truth: Any, holdout: npt.NDArray[Any], holdout_truth: Any
) -> float:
    if train.dtype == object:
        kind = "continuous" if task.name == "regression" else task.name
        encoder = TargetEncoder(target_type=kind, cv=KFold(5, shuffle=True, random_state=0))
        train, holdout = encoder.fit_transform(train, train_truth), encoder.transform(holdout)
    if isinstance(task, Binary):
        tree = DecisionTreeClassifier(**LEAVES).fit(train, train_truth)
        return float(metrics.roc_auc_score(holdout_truth, tree.predict_proba(holdout)[:, -1]))
    if isinstance(task, Multiclass):
        tree = DecisionTreeClassifier(**LEAVES).fit(train, train_truth)
        scores = np.zeros((len(holdout_truth), len(task.classes)))
        scores[:, tree.classes_] = tree.predict_proba(holdout)  # a sample may lack a class
        return one_against_rest(holdout_truth, scores)
    return float(
        metrics.r2_score(holdout_truth, DecisionTreeRegressor(**LEAVES).fit(train, train_truth).predict(holdout))
    )


def _values(column: Column, rows: Rows) -> npt.NDArray[Any]:
    """Return a column of shape (rows, 1); a missing number is NaN."""
    series = rows.table[column.name]
    if column.numeric:
        return series.cast(float).fill_null(np.nan).to_numpy().reshape(-1, 1)
    return np.array(series.to_list(), dtype=object).reshape(-1, 1)
