"""How well answers met the truth that came later: those of the evaluation's metrics that labels allow.

The evaluation's are scikit-learn's, which this function's bundle has no room for; tests hold these numbers against it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from penstock.captures import reader as captures
from penstock.ledger.ledger import Record
from penstock.spec.model import Task

EPSILON = float(np.finfo(np.float64).eps)
"""The least probability that a log loss counts with, as scikit-learn's."""

Quality = dict[str, float]
Probabilities = Mapping[str, float]
"""Of each class by its name; empty where they are not known."""
Recall = tuple[Any, int, float]
"""A class, how many rows are of it, and the share of them that was answered right."""


def measured(
    task: Task, rows: Sequence[Record], truth: Sequence[Any], class_names: Callable[[int], Sequence[str]]
) -> tuple[Quality, str]:
    """The quality of captured rows, and a remark on it for the sentence.

    Args:
        task: the model's.
        rows: as the predict function captured them, at least one, answered by this task.
        truth: as many; the target's values.
        class_names: the classes of a version in their order; none where they are not known.
    """
    answers = [answer(task, row) for row in rows]
    if task == "regression":
        return of_amounts(answers, truth), ""
    if task == "binary":
        return of_labels(answers, truth), ""
    names = {version: class_names(version) for version in {int(row["version"]) for row in rows}}
    probabilities = [captures.probabilities(row, names[int(row["version"])]) for row in rows]
    name, count, recall = min(recalls(answers, truth), key=lambda item: item[2])
    return of_classes(answers, truth, probabilities), f", lowest recall {recall:.3f} of {name!r} in {count} rows"


def answer(task: Task, row: Record) -> Any:
    """What of a captured row is held against the truth; None where a version of another task answered it."""
    return row.get("score" if task == "regression" else "label")


def of_amounts(answers: Sequence[float], truth: Sequence[float]) -> Quality:
    """A regression's root mean squared error, in the target's unit; of at least one row."""
    return {"rmse": float(np.sqrt(np.mean((np.array(answers, float) - np.array(truth, float)) ** 2)))}


def of_labels(answers: Sequence[Any], truth: Sequence[Any]) -> Quality:
    """The share of right labels; of at least one row."""
    return {"accuracy": sum(answer == real for answer, real in zip(answers, truth, strict=True)) / len(truth)}


def of_classes(answers: Sequence[Any], truth: Sequence[Any], probabilities: Sequence[Probabilities]) -> Quality:
    """The quality of a model of three or more classes.

    `balanced_accuracy` and `f1` are means over the classes that occur in the truth, as the evaluation's. `log_loss` is
    over the rows whose true class has a probability; where there are none, it is absent.

    Args:
        answers: the labels that were answered, at least one.
        truth: as many; what they should have been.
        probabilities: as many.
    """
    every = recalls(answers, truth)
    f1 = [2 * recall * rows / (rows + answers.count(name)) for name, rows, recall in every]
    found = of_labels(answers, truth) | {
        "balanced_accuracy": float(np.mean([recall for _, _, recall in every])),
        "f1": float(np.mean(f1)),
    }
    known = [of[str(name)] / sum(of.values()) for name, of in zip(truth, probabilities, strict=True) if str(name) in of]
    return found | ({"log_loss": float(-np.mean(np.log(np.clip(known, EPSILON, 1))))} if known else {})


def recalls(answers: Sequence[Any], truth: Sequence[Any]) -> list[Recall]:
    """The recall of each class that occurs in the truth."""
    pairs = list(zip(answers, truth, strict=True))
    mine = {name: [answer for answer, real in pairs if real == name] for name in sorted(set(truth))}
    return [(name, len(found), found.count(name) / len(found)) for name, found in mine.items()]
