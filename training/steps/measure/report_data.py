"""What the report's plots and tables are drawn from, measured where truth and scores are: inside the training job.

Bounded: curves have at most 200 points (`report_curves`), clouds 400, profiles 20 quantiles or values a column; the
permutations, which score again, stop after LIMIT_SECONDS and say which columns they left out. A personal column shows
no value, and no value is named that fewer than FEWEST rows share, so that the report outlives the rows of whoever is
forgotten.
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
from training.steps.measure.report_curves import calibration, thinned
from training.steps.measure.report_multiclass import log_score, of_classes
from training.steps.task.export_check import Champion
from training.steps.task.multiclass import Multiclass
from training.steps.task.tasks import Binary, Kind

CLOUD = 400
SAMPLE, REPEATS, SEED = 4_000, 3, 0
"""Rows that are permuted, how often each column is, and the random numbers' seed."""
DRIFT_ROWS, MUCH = 50_000, 0.25
"""Rows that are held against the champion's baseline, and the PSI from which a column has drifted much."""
LIMIT_SECONDS = 60.0
FEWEST = 5
TOP = 10
LONGEST = 60
"""Characters of a value that are shown."""
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
    """The document `report-data.json`.

    Args:
        task: on these rows.
        model: the challenger's file.
        rows: by side.
        scores: the challenger's on the holdout.
        champion: the live model's, where it was compared.
        champion_baseline: what its training job counted (`drift.baseline`), where it is known.
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
    """What really was: 1 and 0 for a class, one of many's place, the amount of a regression. Shape (rows,)."""
    if isinstance(task, Binary):
        return evaluation.positives(rows.truth(), task.classes[1]).astype(np.float64)
    if isinstance(task, Multiclass):
        return task.truth(rows).astype(np.float64)
    return np.array(rows.truth(), dtype=np.float64)


def _measured(task: Kind, holdout: Rows, scored: Mapping[str, tuple[Scores, float | None]]) -> dict[str, Document]:
    """What is drawn of each model."""
    if isinstance(task, Multiclass):
        places = task.truth(holdout)
        return {name: of_classes(places, scores, task.classes) for name, (scores, _) in scored.items()}
    truth = truth_of(task, holdout)
    if isinstance(task, Binary):
        given = {name: (scores, at) for name, (scores, at) in scored.items() if at is not None}
        return {name: curves(truth, scores, at, task.classes) for name, (scores, at) in given.items()}
    edges, named = edges_of(truth, [scores for scores, _ in scored.values()]), not holdout.contract.target.personal
    return {name: residuals(truth, scores, edges, named=named) for name, (scores, _) in scored.items()}


def curves(truth: Numbers, scores: Scores, threshold: float, classes: tuple[Class, ...]) -> Document:
    """ROC, precision and recall, calibration, confusion and histogram of a classification's scores.

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
        "roc": thinned(false, true),
        "pr": thinned(recall[::-1], precision[::-1]),
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
    """Bins for the residuals of all rivals, the same so that heights compare: the middle 99 % of each lies within."""
    ends = [np.quantile(truth - scores, [0.005, 0.995]) for scores in rivals]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    return np.linspace(low, high, 31) if high > low else np.array([low - 0.5, low + 0.5])


def residuals(truth: Numbers, scores: Scores, edges: Numbers, *, named: bool) -> Document:
    """How far a regression's amounts are off: a histogram, and a sample of rows.

    Args:
        truth: shape (rows,).
        scores: shape (rows,).
        edges: the histogram's (`edges_of`).
        named: whether single amounts may be shown.
    """
    off = truth - scores
    counts = np.histogram(off, edges)[0]
    about: Document = {
        "residuals": {"edges": edges.tolist(), "rows": counts.tolist(), "outside": int(len(off) - counts.sum())}
    }
    if named:
        chosen = np.sort(np.random.default_rng(SEED).permutation(len(truth))[:CLOUD])
        about["points"] = np.column_stack([scores[chosen], truth[chosen]]).tolist()
    return about


def importance(task: Kind, model: Model, holdout: Rows, clock: Callable[[], float] = time.monotonic) -> Document | None:
    """How much worse the task's first metric is when one column's values are permuted, by the file itself.

    Source: Breiman, Random Forests (2001), section 10. None where the sample allows no measure.
    """
    table = holdout.table.sample(min(SAMPLE, holdout.table.height), seed=SEED)
    sample = Rows(table, holdout.contract)
    truth = truth_of(task, sample)
    if len(np.unique(truth)) < 2:
        return None
    name, measure = _first(task)
    columns = dict(sample.columns())
    full, random = float(measure(truth, model.score(columns))), np.random.default_rng(SEED)
    ends, found, left = clock() + LIMIT_SECONDS, [], []
    for field in model.signature.fields:
        if clock() > ends:
            left.append(field.name)
            continue
        values = np.array(columns[field.name], dtype=object)
        falls = [
            full - float(measure(truth, model.score(columns | {field.name: random.permutation(values).tolist()})))
            for _ in range(REPEATS)
        ]
        found.append({"column": field.name, "drop": float(np.mean(falls)), "spread": float(np.std(falls))})
    ranked = sorted(found, key=lambda item: -float(str(item["drop"])))
    return {"metric": name, "rows": len(truth), "repeats": REPEATS, "columns": ranked, "left_out": left}


def _first(task: Kind) -> tuple[str, Callable[[Numbers, Scores], float]]:
    """The task's first metric, with more being better."""
    if isinstance(task, Multiclass):
        return "log_loss", log_score
    return ("roc_auc", metrics.roc_auc_score) if isinstance(task, Binary) else ("r2", metrics.r2_score)


def profile(rows: Rows) -> list[Document]:
    """Each feature and the target: type, missing values, and what the values are like."""
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
    kept = values.drop_nulls()
    return kept.filter(~kept.cast(pl.String).is_in(["", "NaN"]))


def _drift(train: Rows, baseline: Document | None) -> Document | None:
    """The training rows against what the champion's training job counted; a column of another kind is left out."""
    if baseline is None:
        return None
    table = train.table.sample(min(DRIFT_ROWS, train.table.height), seed=SEED)
    columns = Rows(table, train.contract).columns()
    numeric = {column.name: column.numeric for column in train.contract.features}
    known = {name: item for name, item in baseline.items() if numeric.get(name) == (item["edges"] is not None)}
    if not known:
        return None
    found = drift.compare(known, {name: columns[name] for name in known}, rows=table.height, min_rows=1, threshold=MUCH)
    much = sum(column.drifted for column in found.columns)
    sentence = (
        f"{much} of {len(known)} columns of the training rows are much unlike those that the champion's baseline was "
        f"counted on (PSI of {MUCH} or more, and more than chance)."
    )
    return {
        "sentence": sentence,
        "columns": [{"column": c.column, "psi": c.psi, "noise": c.noise, "drifted": c.drifted} for c in found.columns],
    }


def _short(value: Any) -> Any:
    """Six digits are enough to draw."""
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
