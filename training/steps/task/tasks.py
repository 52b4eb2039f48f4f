"""The tasks in the training job: their target, threshold, metrics and export tolerance."""

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
from training.steps.task.export_check import EXPORT_TOLERANCE, FLOAT32_TOLERANCE, Champion, largest_difference
from training.steps.task.multiclass import Multiclass


@dataclass(frozen=True)
class Binary:
    """The target has two values; the score is the probability of the second."""

    classes: tuple[Class, ...]
    decision: Literal["f1"] | float | Aim
    name: ClassVar[Task] = "binary"

    def threshold(self, validation: Rows, model: Callable[[], Model]) -> float | None:
        """Return the decision threshold of the spec, or choose it by the spec's aim on the validation rows.

        Raises:
            StepError: the aim cannot be reached on the validation rows.
        """
        if isinstance(self.decision, float):
            return self.decision
        try:
            return thresholds.threshold(self.decision, self.truth(validation), model().score(validation.columns()))
        except evaluation.EvaluationError as error:
            raise StepError(str(error)) from None

    def difference(self, fitted: Any, holdout: Rows, scores: Scores) -> float:
        """Return the largest difference between the estimator's probabilities and the file's; 0 for an ONNX graph.

        Raises:
            StepError: more than one row of a thousand differs beyond the tolerance.
        """
        if not hasattr(fitted, "predict_proba"):
            return 0.0
        return largest_difference(fitted.predict_proba(holdout.features())[:, 1], scores, EXPORT_TOLERANCE)

    def evaluate(
        self, holdout: Rows, train: Rows, model: Model, scores: Scores, champion: Champion | None
    ) -> Evaluation:
        """Evaluate the scores on the holdout."""
        return evaluation.evaluate(
            self.truth(holdout),
            challenger=scores,
            threshold=_require_threshold(model.signature.threshold),
            baseline=self.naive(train, len(scores)),
            champion=(champion[0], champion[1], _require_threshold(champion[2])) if champion else None,
        )

    def truth(self, rows: Rows) -> evaluation.Truth:
        """Mark the positive rows. Shape (rows,)."""
        return evaluation.positives(rows.truth(), self.classes[1])

    def naive(self, train: Rows, rows: int) -> Scores:
        """Return the naive baseline's scores of as many rows. Shape (rows,)."""
        return evaluation.naive_scores(self.truth(train), rows)

    def change(self, first: Scores, second: Scores) -> Scores:
        """Return the change of the probability between two models, by row. Shape (rows,)."""
        return np.abs(first - second)


@dataclass(frozen=True)
class Regression:
    """The target is an amount, and so is the score."""

    spread: float
    """Standard deviation of the target in the training rows."""
    classes: ClassVar[tuple[Class, ...]] = ()
    name: ClassVar[Task] = "regression"

    def threshold(self, validation: Rows, model: Callable[[], Model]) -> None:
        """Return None: a regression has no label."""
        del validation, model

    def difference(self, fitted: Any, holdout: Rows, scores: Scores) -> float:
        """Return the largest difference between the estimator's amounts and the file's; 0 for an ONNX graph.

        Raises:
            StepError: more than one row of a thousand differs by more than the target's spread allows.
        """
        if not hasattr(fitted, "predict"):
            return 0.0
        own = np.asarray(fitted.predict(holdout.features()), dtype=np.float64).reshape(-1)
        return largest_difference(
            own, scores, EXPORT_TOLERANCE * self.spread + FLOAT32_TOLERANCE * float(np.abs(own).max())
        )

    def evaluate(
        self, holdout: Rows, train: Rows, model: Model, scores: Scores, champion: Champion | None
    ) -> Evaluation:
        """Evaluate the scores on the holdout."""
        del model
        return evaluation.evaluate_amounts(
            _amounts(holdout),
            challenger=scores,
            baseline=self.naive(train, len(scores)),
            champion=champion[:2] if champion else None,
        )

    def truth(self, rows: Rows) -> evaluation.Amounts:
        """Return the target's values. Shape (rows,)."""
        return _amounts(rows)

    def naive(self, train: Rows, rows: int) -> Scores:
        """Return the naive baseline's scores of as many rows. Shape (rows,)."""
        return evaluation.naive_scores(_amounts(train), rows)

    def change(self, first: Scores, second: Scores) -> Scores:
        """Return the change between two models in standard deviations of the target, by row. Shape (rows,)."""
        return np.abs(first - second) / self.spread


Kind = Binary | Multiclass | Regression


def task_of(spec: ModelSpec, train: Rows, others: Mapping[str, Rows] | None = None) -> Kind:
    """Build the spec's task for these rows.

    Args:
        spec: the model's spec.
        train: the training rows.
        others: the other sides by name; their classes must be those of the training rows.

    Raises:
        StepError: the target does not fit the task.
    """
    target = train.contract.target
    if spec.task == "multiclass":
        return Multiclass.of(train, others or {})
    if spec.task == "regression":
        if target.type not in {"integer", "number"}:
            raise StepError(f"the task is regression, the target {target.name!r} is {target.type}: it needs a number")
        return Regression(float(np.std(_amounts(train))))
    values = sorted(set(train.truth()))
    if len(values) != 2:
        mend = (
            "; more than two: task: multiclass, a column that is true for one of them, or task: regression for amounts"
        )
        raise StepError(
            f"the target {target.name!r} has {len(values)} values in the training rows, it needs 2"
            + (mend if len(values) > 2 else "")
        )
    return Binary(tuple(values), spec.decision)


def _amounts(rows: Rows) -> evaluation.Amounts:
    return np.array(rows.truth(), dtype=np.float64)


def _require_threshold(threshold: float | None) -> float:
    if threshold is None:
        raise StepError("the model file has classes but no threshold: export it with Penstock")
    return threshold
