"""The task multiclass in the training job: its classes, their least rows, and its metrics."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from penstock.evaluation import multiclass_metrics as evaluation_classes
from penstock.evaluation.metrics import Evaluation, EvaluationError
from penstock.evaluation.multiclass import Places
from penstock.scoring.model import Model
from penstock.scoring.signature import Class, Scores
from penstock.spec.model import MOST_CLASSES, Task
from training.steps.data.container import StepError
from training.steps.data.rows import Rows
from training.steps.task.export_check import EXPORT_TOLERANCE, Champion, largest_difference

FEWEST = 10
"""Least training rows of a class."""
SUM_TOLERANCE = 1e-3
"""Largest distance of the sum of a row's probabilities from 1."""


@dataclass(frozen=True)
class Multiclass:
    """The target has three values or more; the score is the probability of each, the label the most probable."""

    classes: tuple[Class, ...]
    name: ClassVar[Task] = "multiclass"

    @classmethod
    def of(cls, train: Rows, others: Mapping[str, Rows]) -> "Multiclass":
        """Build the task with the classes of the training rows.

        Raises:
            StepError: too few classes or too many, a class with too few rows, or one that is only on another side or
                not in the holdout.
        """
        target = train.contract.target
        if target.type in {"number", "timestamp", "date"}:
            raise StepError(
                f"the task is multiclass, the target {target.name!r} is {target.type}: it needs an integer or a string"
            )
        counts = Counter(train.truth())
        _require_class_count(target.name, len(counts))
        task = cls(tuple(sorted(counts)))
        if rare := [item for item in task.classes if counts[item] < FEWEST]:
            raise StepError(
                f"{_phrase(train, rare)} has {counts[rare[0]]} training rows, it needs {FEWEST}: more rows of it, or "
                "the same value as another class"
            )
        for side, rows in others.items():
            task._require_same_classes(side, rows)
        return task

    def _require_same_classes(self, side: str, rows: Rows) -> None:
        present = set(rows.truth())
        if unknown := sorted(present - set(self.classes)):
            raise StepError(
                f"{_phrase(rows, unknown)} has rows on the {side} side and none to train on: more rows of it, or the "
                "same value as another class"
            )
        if side == "holdout" and (absent := [item for item in self.classes if item not in present]):
            raise StepError(
                f"{_phrase(rows, absent)} has no row in the holdout, so nothing would be known of it: more rows of it, "
                "a larger split.holdout, or the same value as another class"
            )

    def threshold(self, validation: Rows, model: Callable[[], Model]) -> None:
        """Return None: the label is the most probable class."""
        del validation, model

    def difference(self, fitted: Any, holdout: Rows, scores: Scores) -> float:
        """Return the largest difference between the estimator's probabilities and the file's; 0 for an ONNX graph.

        Raises:
            StepError: the classes are not the target's, the scores are no probabilities, or more than one row of a
                thousand differs beyond the tolerance.
        """
        self._require_probabilities(scores)
        if not hasattr(fitted, "predict_proba"):
            return 0.0
        self._require_own_classes(fitted)
        return largest_difference(fitted.predict_proba(holdout.features()), scores, EXPORT_TOLERANCE)

    def _require_probabilities(self, scores: Scores) -> None:
        if scores.shape[1:] != (len(self.classes),):
            raise StepError(
                f"the model answers with {scores.shape[-1]} probabilities a row, the target has {len(self.classes)} "
                "classes: fit on all training rows, and give a graph's output a column for each class, sorted"
            )
        if not (np.abs(scores.sum(axis=1) - 1) < SUM_TOLERANCE).all() or scores.min() < -SUM_TOLERANCE:
            raise StepError("the model's answers are no probabilities: a row's must be from 0 to 1 and sum to 1")

    def _require_own_classes(self, fitted: Any) -> None:
        """Require the target's values or their indices as classes: they give the order of the probabilities."""
        own = np.asarray(getattr(fitted, "classes_", range(len(self.classes)))).tolist()
        if own not in (list(self.classes), list(range(len(self.classes)))):
            raise StepError(
                f"the estimator tells {str(own)[:100]} apart, the target has {str(list(self.classes))[:100]}: fit on "
                "the target's own values"
            )

    def evaluate(
        self, holdout: Rows, train: Rows, model: Model, scores: Scores, champion: Champion | None
    ) -> Evaluation:
        """Evaluate the scores on the holdout."""
        del model
        return evaluation_classes.evaluate_classes(
            self.truth(holdout),
            self.classes,
            challenger=scores,
            baseline=self.naive(train, len(scores)),
            champion=champion[:2] if champion else None,
        )

    def truth(self, rows: Rows) -> Places:
        """Return the index of each row's class. Shape (rows,).

        Raises:
            StepError: a value is no class.
        """
        try:
            return evaluation_classes.places(rows.truth(), self.classes)
        except EvaluationError as error:
            raise StepError(str(error)) from None

    def naive(self, train: Rows, rows: int) -> Scores:
        """Return the naive baseline's scores of as many rows. Shape (rows, classes)."""
        return evaluation_classes.naive_shares(self.truth(train), len(self.classes), rows)

    def change(self, first: Scores, second: Scores) -> Scores:
        """Return the probability moved between classes from one model to the other, by row. Shape (rows,).

        It is half the sum of the differences (total variation distance).
        """
        moved: Scores = np.abs(first - second).sum(axis=1) / 2
        return moved


def _require_class_count(target: str, count: int) -> None:
    message = f"the target {target!r} has {count} values in the training rows"
    if count < 3:
        mend = "make the task binary, or " if count == 2 else ""
        raise StepError(f"{message}, multiclass needs 3: {mend}bring more data")
    if count > MOST_CLASSES:
        raise StepError(
            f"{message}, multiclass takes {MOST_CLASSES}: give those the same value that belong together, or make the "
            "task regression for amounts"
        )


def _phrase(rows: Rows, classes: list[Class]) -> str:
    """Name a class for a message, without the value of a personal target."""
    target = rows.contract.target
    more = f" (and {len(classes) - 1} more)" if len(classes) > 1 else ""
    return f"{'a class' if target.personal else f'the class {classes[0]!r}'}{more} of the target {target.name!r}"
