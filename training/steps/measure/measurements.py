"""Measure the evaluation that gates decide on, in the training job, where the rows are."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from penstock.evaluation.confidence import Rival, Scored, intervals
from penstock.evaluation.metrics import Evaluation
from penstock.evaluation.slices import disparity, slices
from penstock.scoring.model import Model
from penstock.scoring.signature import Scores
from penstock.spec.model import ModelSpec
from training.steps.data.rows import Rows
from training.steps.measure.leakage import strongest
from training.steps.task.export_check import Champion
from training.steps.task.tasks import Kind

TIMED = 200
"""Most rows that are scored alone for the latency."""
Refit = Callable[[Rows, Rows, dict[str, Any]], Model]
"""`fit` and export: from training rows, validation rows and params to a model."""


@dataclass(frozen=True)
class Challenger:
    """A new model, and its scores of the holdout."""

    model: Model
    scores: Scores
    size: int
    """Size of its file in bytes."""
    refit: Refit


def measured(
    spec: ModelSpec,
    task: Kind,
    rows: dict[str, Rows],
    challenger: Challenger,
    champion: Champion | None,
) -> Evaluation:
    """Measure everything that the gates decide on; the slow measures only if a gate needs them."""
    holdout, scores = rows["holdout"], challenger.scores
    threshold = challenger.model.signature.threshold
    result = task.evaluate(holdout, rows["train"], challenger.model, scores, champion)
    truth = task.truth(holdout)
    rivals: dict[Rival, Scored] = {"baseline": Scored(task.naive(rows["train"], len(scores)), threshold)}
    if champion:
        rivals["champion"] = Scored(champion[1], champion[2])
    own, options = Scored(scores, threshold), spec.evaluation
    models = {"challenger": own} | {str(name): rival for name, rival in rivals.items()}
    result["intervals"] = intervals(spec.gates, truth, own, rivals)
    columns = holdout.columns()
    slice_columns = {name: columns[name] for name in options.slices}
    result["slices"] = slices(slice_columns, truth, models, options.min_rows)
    result["disparities"] = [
        disparity(name, columns[name], truth.astype(bool), own, options.min_rows) for name in options.groups
    ]
    return _add_extra_measures(spec, task, rows, challenger, result)


def _add_extra_measures(
    spec: ModelSpec, task: Kind, rows: dict[str, Rows], challenger: Challenger, result: Evaluation
) -> Evaluation:
    gates = {gate.metric for gate in spec.gates}
    measures = {"latency_ms": latency(challenger.model, rows["holdout"]), "onnx_mb": challenger.size / 1e6}
    if "leakage" in gates:
        result["leaking"], measures["leakage"] = strongest(task, rows["train"], rows["holdout"])
    if "instability" in gates:
        measures["instability"] = instability(task, rows, challenger, dict(spec.training.params))
    result["beside"] = measures
    return result


def latency(model: Model, holdout: Rows) -> float:
    """Return the median milliseconds of scoring one row, on the training machine, without decoding a request."""
    instances = holdout.instances(TIMED)
    model.score_rows(instances[:1])
    durations = []
    for instance in instances:
        started = time.perf_counter()
        model.score_rows([instance])
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1e3


def instability(task: Kind, rows: dict[str, Rows], challenger: Challenger, params: dict[str, Any]) -> float:
    """Return the mean change of a holdout row's score when the model is fitted a second time.

    The second fit gets a new random split of training and validation rows, in the same numbers, and the next `seed` if
    the params have one. A regression's change is in standard deviations of the target in the training rows; for many
    classes it is the probability moved between classes.
    """
    shuffled = pl.concat([rows["train"].table, rows["validation"].table]).sample(fraction=1, shuffle=True, seed=1)
    train = replace(rows["train"], table=shuffled.head(rows["train"].table.height))
    validation = replace(rows["validation"], table=shuffled.slice(train.table.height))
    if isinstance(params.get("seed"), int):
        params["seed"] += 1
    changed_scores = challenger.refit(train, validation, params).score(rows["holdout"].columns())
    return float(np.mean(task.change(challenger.scores, changed_scores)))
