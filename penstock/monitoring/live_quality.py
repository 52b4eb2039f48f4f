"""Live quality: how well predictions matched the ground truth, by those of the evaluation's metrics that labels allow.

The evaluation uses scikit-learn, which does not fit into the monitor's bundle; tests compare these numbers with it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from penstock.captures import reader as captures
from penstock.ledger.ledger import Record
from penstock.spec.model import Task

EPSILON = float(np.finfo(np.float64).eps)
"""Lower bound of a probability in the log loss, as in scikit-learn."""

Quality = dict[str, float]
Probabilities = Mapping[str, float]
"""Probability of each class by its name; empty where they are not known."""
Recall = tuple[Any, int, float]
"""A class, how many rows are of it, and the share of them that was predicted right."""


def measure(
    task: Task, rows: Sequence[Record], truth: Sequence[Any], class_names: Callable[[int], Sequence[str]]
) -> tuple[Quality, str]:
    """Return the quality of captured rows, and a remark on it for the sentence.

    Args:
        task: of the model.
        rows: as the predict function captured them, at least one, predicted for this task.
        truth: as many; the target's values.
        class_names: returns the classes of a version in their order; empty where they are not known.
    """
    predictions = [prediction(task, row) for row in rows]
    if task == "regression":
        return regression(predictions, truth), ""
    if task == "binary":
        return binary(predictions, truth), ""
    names = {version: class_names(version) for version in {int(row["version"]) for row in rows}}
    probabilities = [captures.probabilities(row, names[int(row["version"])]) for row in rows]
    name, count, recall = min(recalls(predictions, truth), key=lambda item: item[2])
    return multiclass(predictions, truth, probabilities), f", lowest recall {recall:.3f} of {name!r} in {count} rows"


def prediction(task: Task, row: Record) -> Any:
    """Return what of a captured row is compared with the truth; None where a version of another task predicted it."""
    return row.get("score" if task == "regression" else "label")


def regression(predictions: Sequence[float], truth: Sequence[float]) -> Quality:
    """Return the root mean squared error of at least one row, in the target's unit."""
    return {"rmse": float(np.sqrt(np.mean((np.array(predictions, float) - np.array(truth, float)) ** 2)))}


def binary(predictions: Sequence[Any], truth: Sequence[Any]) -> Quality:
    """Return the share of right labels, of at least one row."""
    right = sum(label == real for label, real in zip(predictions, truth, strict=True))
    return {"accuracy": right / len(truth)}


def multiclass(predictions: Sequence[Any], truth: Sequence[Any], probabilities: Sequence[Probabilities]) -> Quality:
    """Return the quality of a model of three or more classes.

    `balanced_accuracy` and `f1` are means over the classes that occur in the truth, as in the evaluation. `log_loss` is
    over the rows whose true class has a probability; without such rows it is absent.

    Args:
        predictions: the predicted labels, at least one.
        truth: as many; the true labels.
        probabilities: as many.
    """
    by_class = recalls(predictions, truth)
    f1 = [2 * recall * rows / (rows + predictions.count(name)) for name, rows, recall in by_class]
    quality = binary(predictions, truth) | {
        "balanced_accuracy": float(np.mean([recall for _, _, recall in by_class])),
        "f1": float(np.mean(f1)),
    }
    of_truth = [
        row[str(name)] / sum(row.values()) for name, row in zip(truth, probabilities, strict=True) if str(name) in row
    ]
    return quality | ({"log_loss": float(-np.mean(np.log(np.clip(of_truth, EPSILON, 1))))} if of_truth else {})


def recalls(predictions: Sequence[Any], truth: Sequence[Any]) -> list[Recall]:
    """Return the recall of each class that occurs in the truth."""
    pairs = list(zip(predictions, truth, strict=True))
    by_class = {name: [label for label, real in pairs if real == name] for name in sorted(set(truth))}
    return [(name, len(labels), labels.count(name) / len(labels)) for name, labels in by_class.items()]
