"""The numbers of the report's plots and tables, measured inside the training job, which has truth and scores.

Bounded: curves have at most 200 points (`report_curves`), clouds 400, profiles 20 quantiles or values a column; the
permutations, which score again, stop after LIMIT_SECONDS and name the columns that they left out. A personal column
shows no value, and a value that fewer than FEWEST rows share is not shown, so that the report stays valid when a
person's rows are erased.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn import metrics

from penstock.contract.model import Column
from penstock.evaluation import metrics as evaluation
from penstock.evaluation.multiclass import class_name
from penstock.monitoring import drift
from penstock.scoring.model import Model
from penstock.scoring.signature import Class, Scores
from training.steps.data.rows import Rows
from training.steps.measure.report_curves import calibration, thin
from training.steps.measure.report_multiclass import class_curves, log_score
from training.steps.task.export_check import Champion
from training.steps.task.multiclass import Multiclass
from training.steps.task.tasks import Binary, Kind

CLOUD = 400
SAMPLE, REPEATS, SEED = 4_000, 3, 0
"""Rows that are permuted, permutations of each column, and the random numbers' seed."""
DRIFT_ROWS, LARGE_PSI = 50_000, 0.25
"""Rows that are compared with the champion's baseline, and the PSI from which a column has drifted much."""
LIMIT_SECONDS = 60.0
FEWEST = 5
TOP = 10
LONGEST = 60
"""Characters of a value that the report shows."""
Numbers = npt.NDArray[np.float64]
Document = dict[str, Any]


def collect(
    task: Kind,
    model: Model,
    rows: Mapping[str, Rows],
    scores: Scores,
    champion: Champion | None,
    champion_baseline: Document | None,
) -> Document:
    """Measure the document `report-data.json`.

    Args:
        task: on these rows.
        model: the challenger's file.
        rows: by side.
        scores: the challenger's on the holdout.
        champion: the live model's, where it was compared.
        champion_baseline: its training job's `drift.baseline`, where there is one.
    """
    holdout, train = rows["holdout"], rows["train"]
    scored = {"challenger": (scores, model.signature.threshold)}
    if champion is not None:
        scored["champion"] = (champion[1], champion[2])
    document: Document = _short(
        {
            "models": _measured(task, holdout, scored),
            "importance": importance(task, model, holdout),
            "profile": {"rows": train.table.height, "columns": profile(train)},
            "drift": _drift(train, champion_baseline),
        }
    )
    return document


def truth_of(task: Kind, rows: Rows) -> Numbers:
    """Return the truth as numbers: 1 and 0 of two classes, a class' index, or an amount. Shape (rows,)."""
    if isinstance(task, Binary):
        return evaluation.positives(rows.truth(), task.classes[1]).astype(np.float64)
    if isinstance(task, Multiclass):
        return task.truth(rows).astype(np.float64)
    return np.array(rows.truth(), dtype=np.float64)


def _measured(task: Kind, holdout: Rows, scored: Mapping[str, tuple[Scores, float | None]]) -> dict[str, Document]:
    """Return the curves of each model."""
    if isinstance(task, Multiclass):
        places = task.truth(holdout)
        return {name: class_curves(places, scores, task.classes) for name, (scores, _) in scored.items()}
    truth = truth_of(task, holdout)
    if isinstance(task, Binary):
        thresholds = {name: (scores, at) for name, (scores, at) in scored.items() if at is not None}
        return {name: curves(truth, scores, at, task.classes) for name, (scores, at) in thresholds.items()}
    edges = edges_of(truth, [scores for scores, _ in scored.values()])
    points = not holdout.contract.target.personal
    return {name: residuals(truth, scores, edges, points=points) for name, (scores, _) in scored.items()}


def curves(truth: Numbers, scores: Scores, threshold: float, classes: tuple[Class, ...]) -> Document:
    """Measure ROC, precision and recall, calibration, confusion and histogram of the scores of two classes.

    Args:
        truth: 1 or 0, shape (rows,).
        scores: shape (rows,), 0–1.
        threshold: score from which the label is positive.
        classes: negative, positive.
    """
    false, true, _ = metrics.roc_curve(truth, scores)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    edges = np.linspace(0, 1, 21)
    positive = truth > 0
    return {
        "roc": thin(false, true),
        "pr": thin(recall[::-1], precision[::-1]),
        "calibration": calibration(truth, scores),
        "threshold": threshold,
        "confusion": {
            "classes": [class_name(item) for item in classes],
            "threshold": threshold,
            "rows": metrics.confusion_matrix(positive, scores >= threshold, labels=[False, True]).tolist(),
        },
        "histogram": {
            "edges": edges.tolist(),
            "negative": np.histogram(scores[~positive], edges)[0].tolist(),
            "positive": np.histogram(scores[positive], edges)[0].tolist(),
        },
    }


def edges_of(truth: Numbers, rivals: Sequence[Scores]) -> Numbers:
    """Return the same bins for the residuals of all models, so that heights compare: the middle 99 % lies within."""
    ends = [np.quantile(truth - scores, [0.005, 0.995]) for scores in rivals]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    return np.linspace(low, high, 31) if high > low else np.array([low - 0.5, low + 0.5])


def residuals(truth: Numbers, scores: Scores, edges: Numbers, *, points: bool) -> Document:
    """Measure a regression's residuals: a histogram, and a sample of rows.

    Args:
        truth: shape (rows,).
        scores: shape (rows,).
        edges: the histogram's (`edges_of`).
        points: whether the sample may be shown.
    """
    errors = truth - scores
    counts = np.histogram(errors, edges)[0]
    about: Document = {
        "residuals": {"edges": edges.tolist(), "rows": counts.tolist(), "outside": int(len(errors) - counts.sum())}
    }
    if points:
        chosen = np.sort(np.random.default_rng(SEED).permutation(len(truth))[:CLOUD])
        about["points"] = np.column_stack([scores[chosen], truth[chosen]]).tolist()
    return about


def importance(task: Kind, model: Model, holdout: Rows, clock: Callable[[], float] = time.monotonic) -> Document | None:
    """Measure permutation importance: how much worse the task's first metric is with one column's values shuffled.

    The model file itself scores the permuted rows. Source: Breiman, Random Forests (2001), section 10. None where the
    sample allows no measure.
    """
    table = holdout.table.sample(min(SAMPLE, holdout.table.height), seed=SEED)
    sample = Rows(table, holdout.contract)
    truth = truth_of(task, sample)
    if len(np.unique(truth)) < 2:
        return None
    name, measure = _first_metric(task)
    columns = dict(sample.columns())
    full, random = float(measure(truth, model.score(columns))), np.random.default_rng(SEED)
    deadline, measured, omitted = clock() + LIMIT_SECONDS, [], []
    for field in model.signature.fields:
        if clock() > deadline:
            omitted.append(field.name)
            continue
        values = np.array(columns[field.name], dtype=object)
        drops = [
            full - float(measure(truth, model.score(columns | {field.name: random.permutation(values).tolist()})))
            for _ in range(REPEATS)
        ]
        measured.append({"column": field.name, "drop": float(np.mean(drops)), "spread": float(np.std(drops))})
    ranked = sorted(measured, key=lambda item: -float(str(item["drop"])))
    return {"metric": name, "rows": len(truth), "repeats": REPEATS, "columns": ranked, "left_out": omitted}


def _first_metric(task: Kind) -> tuple[str, Callable[[Numbers, Scores], float]]:
    """Return the task's first metric, as a function of which more is better."""
    if isinstance(task, Multiclass):
        return "log_loss", log_score
    return ("roc_auc", metrics.roc_auc_score) if isinstance(task, Binary) else ("r2", metrics.r2_score)


def profile(rows: Rows) -> list[Document]:
    """Describe each feature and the target: type, missing values, quantiles or frequent values."""
    return [_profile(rows.table[column.name], column) for column in [*rows.contract.features, rows.contract.target]]


def _profile(values: pl.Series, column: Column) -> Document:
    present = _present(values.cast(pl.Boolean) if column.type == "boolean" else values)
    about: Document = {
        "column": column.name,
        "type": column.type,
        "role": column.role,
        "personal": column.personal,
        "missing": len(values) - len(present),
    }
    if column.personal or present.is_empty():
        return about
    if column.type in {"integer", "number"}:
        points = {"least": 0.0, "q1": 0.01, "q25": 0.25, "median": 0.5, "q75": 0.75, "q99": 0.99, "most": 1.0}
        numbers = np.quantile(present.to_numpy().astype(np.float64), list(points.values()))
        return about | {"numbers": dict(zip(points, numbers.tolist(), strict=True))}
    counted = present.cast(pl.String).value_counts(sort=True).filter(pl.col("count") >= FEWEST).head(TOP)
    top = [{"value": str(value)[:LONGEST], "rows": count} for value, count in counted.iter_rows()]
    return about | {"distinct": present.n_unique(), "top": top}


def _present(values: pl.Series) -> pl.Series:
    present = values.drop_nulls()
    return present.filter(~present.cast(pl.String).is_in(["", "NaN"]))


def _drift(train: Rows, baseline: Document | None) -> Document | None:
    """Compare the training rows with the champion's baseline; leave out columns whose kind has changed."""
    if baseline is None:
        return None
    table = train.table.sample(min(DRIFT_ROWS, train.table.height), seed=SEED)
    columns = Rows(table, train.contract).columns()
    numeric = {column.name: column.numeric for column in train.contract.features}
    shared = {name: item for name, item in baseline.items() if numeric.get(name) == (item["edges"] is not None)}
    if not shared:
        return None
    values = {name: columns[name] for name in shared}
    result = drift.compare(shared, values, rows=table.height, min_rows=1, threshold=LARGE_PSI)
    count = sum(column.drifted for column in result.columns)
    sentence = (
        f"{count} of {len(shared)} columns of the training rows differ much from the rows of the champion's baseline "
        f"(PSI of {LARGE_PSI} or more, and more than chance)."
    )
    return {
        "sentence": sentence,
        "columns": [{"column": c.column, "psi": c.psi, "noise": c.noise, "drifted": c.drifted} for c in result.columns],
    }


def _short(value: Any) -> Any:
    """Round every number to six digits, enough for plots."""
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
