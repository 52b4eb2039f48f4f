"""How well each feature predicts alone: one that predicts too well often knows what happened after the prediction."""

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
"""Training rows that a feature is judged by."""
LEAVES = {"max_leaf_nodes": 32, "min_samples_leaf": 20, "random_state": 0}


def strongest(task: Kind, train: Rows, holdout: Rows) -> tuple[str, float]:
    """The feature that tells most alone, and its ROC AUC on the holdout; of a regression, its R².

    Of many classes it is the mean ROC AUC of one against the rest.

    A small tree on the one feature finds dependences that are not monotone too. A text is the mean of the target among
    the training rows that have it, each row's without its own (scikit-learn's `TargetEncoder`).
    """
    some = Rows(train.table.sample(min(MOST_ROWS, train.table.height), seed=0), train.contract)
    before, after = task.truth(some), task.truth(holdout)
    alone = {
        column.name: _alone(task, _values(column, some), before, _values(column, holdout), after)
        for column in train.contract.features
    }
    name = max(alone, key=lambda name: alone[name])
    return name, alone[name]


def _alone(task: Kind, known: npt.NDArray[Any], before: Any, asked: npt.NDArray[Any], after: Any) -> float:
    if known.dtype == object:
        kind = "continuous" if task.name == "regression" else task.name
        encoder = TargetEncoder(target_type=kind, cv=KFold(5, shuffle=True, random_state=0))
        known, asked = encoder.fit_transform(known, before), encoder.transform(asked)
    if isinstance(task, Binary):
        tree = DecisionTreeClassifier(**LEAVES).fit(known, before)
        return float(metrics.roc_auc_score(after, tree.predict_proba(asked)[:, -1]))
    if isinstance(task, Multiclass):
        tree = DecisionTreeClassifier(**LEAVES).fit(known, before)
        found = np.zeros((len(after), len(task.classes)))
        found[:, tree.classes_] = tree.predict_proba(asked)  # a sample may lack a class
        return one_against_rest(after, found)
    return float(metrics.r2_score(after, DecisionTreeRegressor(**LEAVES).fit(known, before).predict(asked)))


def _values(column: Column, rows: Rows) -> npt.NDArray[Any]:
    """Shape (rows, 1); a missing number is NaN."""
    series = rows.table[column.name]
    if column.numeric:
        return series.cast(float).fill_null(np.nan).to_numpy().reshape(-1, 1)
    return np.array(series.to_list(), dtype=object).reshape(-1, 1)
