"""The task multiclass in the training job: which classes there are, whether each has enough rows, what is measured."""

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
from training.steps.task.export_check import EXPORT_TOLERANCE, Champion, compared

FEWEST = 10
"""Training rows that a class must have."""
SUM_TOLERANCE = 1e-3
"""How far from 1 a row's probabilities may sum to."""


@dataclass(frozen=True)
class Multiclass:
    """The target has three values or more; the score is the probability of each, the label the most probable."""

    classes: tuple[Class, ...]
    name: ClassVar[Task] = "multiclass"

    @classmethod
    def of(cls, train: Rows, others: Mapping[str, Rows]) -> "Multiclass":
        """The task on these rows: its classes are the training rows'.

        Raises:
            StepError: too few classes or too many, one with too few rows, one that only another side has, or none in
                the holdout.
        """
        target = train.contract.target
        if target.type in {"number", "timestamp", "date"}:
            raise StepError(
                f"the task is multiclass, the target {target.name!r} is {target.type}: it needs an integer or a string"
            )
        counts = Counter(train.truth())
        _be_many(target.name, len(counts))
        made = cls(tuple(sorted(counts)))
        if rare := [item for item in made.classes if counts[item] < FEWEST]:
            raise StepError(
                f"{_whose(train, rare)} has {counts[rare[0]]} training rows, it needs {FEWEST}: more rows of it, or "
                "the same value as another class"
            )
        for side, rows in others.items():
            made._fit(side, rows)
        return made

    def _fit(self, side: str, rows: Rows) -> None:
        found = set(rows.truth())
        if strange := sorted(found - set(self.classes)):
            raise StepError(
                f"{_whose(rows, strange)} has rows on the {side} side and none to train on: more rows of it, or the "
                "same value as another class"
            )
        if side == "holdout" and (absent := [item for item in self.classes if item not in found]):
            raise StepError(
                f"{_whose(rows, absent)} has no row in the holdout, so nothing would be known of it: more rows of it, "
                "a larger split.holdout, or the same value as another class"
            )

    def threshold(self, validation: Rows, model: Callable[[], Model]) -> None:
        """None: the label is the most probable class."""
        del validation, model

    def difference(self, fitted: Any, holdout: Rows, scores: Scores) -> float:
        """The largest difference between the estimator's own probabilities and the file's; 0 for a given graph.

        Raises:
            StepError: classes that are not the target's, probabilities that are none, or more than one row of a
                thousand that differs beyond the tolerance.
        """
        self._be_probabilities(scores)
        if not hasattr(fitted, "predict_proba"):
            return 0.0
        self._be_classes_of(fitted)
        return compared(fitted.predict_proba(holdout.features()), scores, EXPORT_TOLERANCE)

    def _be_probabilities(self, scores: Scores) -> None:
        if scores.shape[1:] != (len(self.classes),):
            raise StepError(
                f"the model answers with {scores.shape[-1]} probabilities a row, the target has {len(self.classes)} "
                "classes: fit on all training rows, and give a graph's output a column for each class, sorted"
            )
        if not (np.abs(scores.sum(axis=1) - 1) < SUM_TOLERANCE).all() or scores.min() < -SUM_TOLERANCE:
            raise StepError("the model's answers are no probabilities: a row's must be from 0 to 1 and sum to 1")

    def _be_classes_of(self, fitted: Any) -> None:
        """Its columns are in the order of its classes: the target's values themselves, or their places."""
        own = np.asarray(getattr(fitted, "classes_", range(len(self.classes)))).tolist()
        if own not in (list(self.classes), list(range(len(self.classes)))):
            raise StepError(
                f"the estimator tells {str(own)[:100]} apart, the target has {str(list(self.classes))[:100]}: fit on "
                "the target's own values"
            )

    def evaluate(
        self, holdout: Rows, train: Rows, model: Model, scores: Scores, champion: Champion | None
    ) -> Evaluation:
        """What the gates decide on."""
        del model
        return evaluation_classes.evaluate_classes(
            self.truth(holdout),
            self.classes,
            challenger=scores,
            baseline=self.naive(train, len(scores)),
            champion=champion[:2] if champion else None,
        )

    def truth(self, rows: Rows) -> Places:
        """Which class each row is of. Shape (rows,).

        Raises:
            StepError: a value that is no class.
        """
        try:
            return evaluation_classes.places(rows.truth(), self.classes)
        except EvaluationError as error:
            raise StepError(str(error)) from None

    def naive(self, train: Rows, rows: int) -> Scores:
        """What the naive baseline says of as many rows. Shape (rows, classes)."""
        return evaluation_classes.naive_shares(self.truth(train), len(self.classes), rows)

    def change(self, first: Scores, second: Scores) -> Scores:
        """How far apart two models' answers are, row by row: the probability that moved. Shape (rows,).

        It is half the sum of the differences (total variation); of two classes, the difference itself.
        """
        moved: Scores = np.abs(first - second).sum(axis=1) / 2
        return moved


def _be_many(target: str, count: int) -> None:
    said = f"the target {target!r} has {count} values in the training rows"
    if count < 3:
        mend = "make the task binary, or " if count == 2 else ""
        raise StepError(f"{said}, multiclass needs 3: {mend}bring more data")
    if count > MOST_CLASSES:
        raise StepError(
            f"{said}, multiclass takes {MOST_CLASSES}: give those the same value that belong together, or make the "
            "task regression for amounts"
        )


def _whose(rows: Rows, classes: list[Class]) -> str:
    """A class for a sentence; a personal target's value is not named."""
    target = rows.contract.target
    more = f" (and {len(classes) - 1} more)" if len(classes) > 1 else ""
    return f"{'a class' if target.personal else f'the class {classes[0]!r}'}{more} of the target {target.name!r}"
