"""What differs between the tasks in the training job: target, threshold, metrics, tolerance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from penstock.evaluation import metrics as evaluation
from penstock.evaluation import thresholds
from penstock.evaluation.metrics import Evaluation
from penstock.scoring.model import Model
from penstock.scoring.signature import Class, Scores
from penstock.spec.model import Aim, ModelSpec, Task
from training.steps.data.container import StepError
from training.steps.data.rows import Rows
from training.steps.task.export_check import EXPORT_TOLERANCE, FLOAT32_TOLERANCE, Champion, compared
from training.steps.task.multiclass import Multiclass


@dataclass(frozen=True)
class Binary:
    """The target has two values; the score is the probability of the second."""

    classes: tuple[Class, ...]
    decision: Literal["f1"] | float | Aim
    name: ClassVar[Task] = "binary"

    def threshold(self, validation: Rows, model: Callable[[], Model]) -> float | None:
        """The decision threshold: as the spec gives it, or what its aim comes to on the validation rows.

        Raises:
            StepError: validation rows on which the aim cannot be reached.
        """
        if isinstance(self.decision, float):
            return self.decision
        try:
            return thresholds.threshold(self.decision, self.truth(validation), model().score(validation.columns()))
        except evaluation.EvaluationError as error:
            raise StepError(str(error)) from None

    def difference(self, fitted: Any, holdout: Rows, scores: Scores) -> float:
        """The largest difference between the estimator's own probabilities and the file's; 0 for a given graph.

        Raises:
            StepError: more than one row of a thousand differs beyond the tolerance.
        """
        if not hasattr(fitted, "predict_proba"):
            return 0.0
        return compared(fitted.predict_proba(holdout.features())[:, 1], scores, EXPORT_TOLERANCE)

    def evaluate(
        self, holdout: Rows, train: Rows, model: Model, scores: Scores, champion: Champion | None
    ) -> Evaluation:
        """What the gates decide on."""
        return evaluation.evaluate(
            self.truth(holdout),
            challenger=scores,
            threshold=_given(model.signature.threshold),
            baseline=self.naive(train, len(scores)),
            champion=(champion[0], champion[1], _given(champion[2])) if champion else None,
        )

    def truth(self, rows: Rows) -> evaluation.Truth:
        """Which rows are positive. Shape (rows,)."""
        return evaluation.positives(rows.truth(), self.classes[1])

    def naive(self, train: Rows, rows: int) -> Scores:
        """What the naive baseline says of as many rows. Shape (rows,)."""
        return evaluation.naive_scores(self.truth(train), rows)

    def change(self, first: Scores, second: Scores) -> Scores:
        """How far apart two models' answers are, row by row: of a probability. Shape (rows,)."""
        return np.abs(first - second)


@dataclass(frozen=True)
class Regression:
    """The target is an amount, and so is the score."""

    spread: float
    """Standard deviation of the target in the training rows."""
    classes: ClassVar[tuple[Class, ...]] = ()
    name: ClassVar[Task] = "regression"

    def threshold(self, validation: Rows, model: Callable[[], Model]) -> None:
        """None: there is no label."""
        del validation, model

    def difference(self, fitted: Any, holdout: Rows, scores: Scores) -> float:
        """The largest difference between the estimator's own amounts and the file's; 0 for a given graph.

        Raises:
            StepError: more than one row of a thousand differs by more than the target's spread allows.
        """
        if not hasattr(fitted, "predict"):
            return 0.0
        own = np.asarray(fitted.predict(holdout.features()), dtype=np.float64).reshape(-1)
        return compared(own, scores, EXPORT_TOLERANCE * self.spread + FLOAT32_TOLERANCE * float(np.abs(own).max()))

    def evaluate(
        self, holdout: Rows, train: Rows, model: Model, scores: Scores, champion: Champion | None
    ) -> Evaluation:
        """What the gates decide on."""
        del model
        return evaluation.evaluate_amounts(
            _amounts(holdout),
            challenger=scores,
            baseline=self.naive(train, len(scores)),
            champion=champion[:2] if champion else None,
        )

    def truth(self, rows: Rows) -> evaluation.Amounts:
        """What the target really was. Shape (rows,)."""
        return _amounts(rows)

    def naive(self, train: Rows, rows: int) -> Scores:
        """What the naive baseline says of as many rows. Shape (rows,)."""
        return evaluation.naive_scores(_amounts(train), rows)

    def change(self, first: Scores, second: Scores) -> Scores:
        """How far apart two models' answers are, row by row, in standard deviations of the target. Shape (rows,)."""
        return np.abs(first - second) / self.spread


Kind = Binary | Multiclass | Regression


def task_of(spec: ModelSpec, train: Rows, others: Mapping[str, Rows] | None = None) -> Kind:
    """The spec's task on these rows.

    Args:
        spec: of the model.
        train: the training rows.
        others: further sides by name, whose classes must be the training rows'.

    Raises:
        StepError: a target that does not fit the task.
    """
    target = train.contract.target
    if spec.task == "multiclass":
        return Multiclass.of(train, others or {})
    if spec.task == "regression":
        if target.type not in {"integer", "number"}:
            raise StepError(f"the task is regression, the target {target.name!r} is {target.type}: it needs a number")
        return Regression(float(np.std(_amounts(train))))
    found = sorted(set(train.truth()))
    if len(found) != 2:
        mend = (
            "; more than two: task: multiclass, a column that is true for one of them, or task: regression for amounts"
        )
        raise StepError(
            f"the target {target.name!r} has {len(found)} values in the training rows, it needs 2"
            + (mend if len(found) > 2 else "")
        )
    return Binary(tuple(found), spec.decision)


def _amounts(rows: Rows) -> evaluation.Amounts:
    return np.array(rows.truth(), dtype=np.float64)


def _given(threshold: float | None) -> float:
    if threshold is None:
        raise StepError("the model file has classes but no threshold: export it with Penstock")
    return threshold
