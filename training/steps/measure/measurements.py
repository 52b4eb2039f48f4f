"""What gates ask of an evaluation beside its metrics, measured in the training job, where the rows are."""

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
"""Rows that are scored alone for the latency."""
Refit = Callable[[Rows, Rows, dict[str, Any]], Model]
"""`fit` and export: training rows, validation rows and params give a model."""


@dataclass(frozen=True)
class Challenger:
    """A model that was just made, and its scores of the holdout."""

    model: Model
    scores: Scores
    size: int
    """Of its file, in bytes."""
    refit: Refit


def measured(
    spec: ModelSpec,
    task: Kind,
    rows: dict[str, Rows],
    challenger: Challenger,
    champion: Champion | None,
) -> Evaluation:
    """Everything that the gates decide on; what takes long only where a gate asks for it."""
    holdout, scores = rows["holdout"], challenger.scores
    threshold = challenger.model.signature.threshold
    result = task.evaluate(holdout, rows["train"], challenger.model, scores, champion)
    truth = task.truth(holdout)
    rivals: dict[Rival, Scored] = {"baseline": Scored(task.naive(rows["train"], len(scores)), threshold)}
    if champion:
        rivals["champion"] = Scored(champion[1], champion[2])
    own, asked = Scored(scores, threshold), spec.evaluation
    models = {"challenger": own} | {str(name): rival for name, rival in rivals.items()}
    result["intervals"] = intervals(spec.gates, truth, own, rivals)
    columns = holdout.columns()
    cut = {name: columns[name] for name in asked.slices}
    result["slices"] = slices(cut, truth, models, asked.min_rows)
    result["disparities"] = [
        disparity(name, columns[name], truth.astype(bool), own, asked.min_rows) for name in asked.groups
    ]
    return _beside(spec, task, rows, challenger, result)


def _beside(
    spec: ModelSpec, task: Kind, rows: dict[str, Rows], challenger: Challenger, result: Evaluation
) -> Evaluation:
    gates = {gate.metric for gate in spec.gates}
    beside = {"latency_ms": latency(challenger.model, rows["holdout"]), "onnx_mb": challenger.size / 1e6}
    if "leakage" in gates:
        result["leaking"], beside["leakage"] = strongest(task, rows["train"], rows["holdout"])
    if "instability" in gates:
        beside["instability"] = instability(task, rows, challenger, dict(spec.training.params))
    result["beside"] = beside
    return result


def latency(model: Model, holdout: Rows) -> float:
    """Median milliseconds of scoring one row alone, on the machine of the training job; without decoding a request."""
    instances = holdout.instances(TIMED)
    model.score_rows(instances[:1])
    spent = []
    for instance in instances:
        started = time.perf_counter()
        model.score_rows([instance])
        spent.append(time.perf_counter() - started)
    return statistics.median(spent) * 1e3


def instability(task: Kind, rows: dict[str, Rows], challenger: Challenger, params: dict[str, Any]) -> float:
    """How much a holdout row's score changes, on average, when the model is fitted a second time.

    The second fit gets training and validation rows dealt anew, as many of each, and the next `seed` where the params
    have one. A regression's change is in standard deviations of the target in the training rows; of many classes it
    is the probability that moved from one to another.
    """
    both = pl.concat([rows["train"].table, rows["validation"].table]).sample(fraction=1, shuffle=True, seed=1)
    train = replace(rows["train"], table=both.head(rows["train"].table.height))
    validation = replace(rows["validation"], table=both.slice(train.table.height))
    if isinstance(params.get("seed"), int):
        params["seed"] += 1
    second = challenger.refit(train, validation, params).score(rows["holdout"].columns())
    return float(np.mean(task.change(challenger.scores, second)))
