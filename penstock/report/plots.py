"""A report's plots: the training job's measurements, challenger over champion where there is one."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.report.figures import (
    KINDS,
    UNIT_SQUARE,
    Block,
    Curves,
    Figure,
    calibration,
    confusions,
    curve,
    legend,
    legend_of_models,
)
from penstock.report.multiclass import multiclass_blocks
from penstock.report.svg import Axis, Plot


def plots(task: str, models: Mapping[str, Curves], target: str) -> list[Block]:
    """Return all plots and confusion matrices of a task; none where nothing was measured for it.

    Args:
        task: of the model.
        models: `challenger`, and `champion` where it was compared; what `report-data.json` has of each.
        target: the column that is predicted, for the axes of an amount.
    """
    drawable = {name: models[name] for name in KINDS if models.get(name)}
    if task == "multiclass":
        blocks = multiclass_blocks(drawable)
    else:
        figures = _binary(drawable) if task == "binary" else _regression(drawable, target)
        blocks = [Block(figures=figures), Block(confusions=confusions(drawable))]
    return [block for block in blocks if block.figures or block.confusions]


def _binary(models: Mapping[str, Curves]) -> list[Figure]:
    rates = ("false positive rate (share of negatives)", "true positive rate")
    return [
        *curve(models, "roc", "ROC curve", rates, "The dotted line is guessing.", UNIT_SQUARE),
        *curve(models, "pr", "Precision and recall", ("recall (share of positives)", "precision"), "", None),
        *calibration(
            models,
            ("mean score of the bin", "share of positive rows"),
            "On the dotted line, a score is the probability that it claims to be.",
        ),
        *_scores(models),
    ]


def _scores(models: Mapping[str, Curves]) -> list[Figure]:
    histogram = models.get("challenger", {}).get("histogram")
    if not histogram:
        return []
    shares = {name: _shares(histogram[name]) for name in ("negative", "positive")}
    top = max((*shares["negative"], *shares["positive"]), default=1) or 1
    plot = Plot("Scores by class", Axis("score", 0, 1), Axis("share of the class' rows", 0, top * 1.05))
    plot.bars(histogram["edges"], shares["negative"], "a")
    plot.bars(histogram["edges"], shares["positive"], "b")
    threshold = models["challenger"].get("threshold")
    if threshold is not None:
        plot.guide((threshold, 0), (threshold, top * 1.05))
    rows = f"{sum(histogram['negative']):,} negative rows and {sum(histogram['positive']):,} positive ones"
    note = f"Challenger; {rows}. The dotted line is the threshold."
    return [Figure(plot, note, legend({"negative": "a", "positive": "b"}, "bar"))]


def _regression(models: Mapping[str, Curves], target: str) -> list[Figure]:
    points = models.get("challenger", {}).get("points")
    return [*(_scatter(points, target) if points else []), *_residuals(models)]


def _scatter(points: Sequence[Sequence[float]], target: str) -> list[Figure]:
    both = Axis.over("", [value for point in points for value in point])
    ends = (both.low, both.high)
    actual = Plot("Predicted and actual", Axis(f"predicted {target}", *ends), Axis(f"actual {target}", *ends))
    actual.guide((both.low, both.low), (both.high, both.high))
    actual.cloud(points, "a")
    differences = [(predicted, truth - predicted) for predicted, truth in points]
    residuals = Plot(
        "Residuals",
        Axis.over(f"predicted {target}", [x for x, _ in differences]),
        Axis.over("actual − predicted", [0, *(y for _, y in differences)]),
    )
    residuals.guide((residuals.x.low, 0), (residuals.x.high, 0))
    residuals.cloud(differences, "a")
    note = f"Challenger, {len(points):,} rows of the holdout."
    return [Figure(actual, f"{note} On the dotted line the prediction is right."), Figure(residuals, note)]


def _residuals(models: Mapping[str, Curves]) -> list[Figure]:
    histograms = {name: model["residuals"] for name, model in models.items() if model.get("residuals")}
    if not histograms:
        return []
    shares = {name: _shares(item["rows"]) for name, item in histograms.items()}
    top = max((share for item in shares.values() for share in item), default=1) or 1
    edges = [edge for item in histograms.values() for edge in item["edges"]]
    plot = Plot(
        "Distribution of residuals", Axis.over("actual − predicted", edges), Axis("share of rows", 0, top * 1.05)
    )
    for name, item in histograms.items():
        plot.bars(item["edges"], shares[name], KINDS[name])
    plot.guide((0, 0), (0, top * 1.05))
    outside = histograms.get("challenger", {}).get("outside", 0)
    note = f"{outside:,} of the challenger's rows lie beyond the plot." if outside else ""
    return [Figure(plot, note, legend_of_models(list(histograms), "bar"))]


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def importance(measured: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the table of permutation importance, each column with the length of its bar, 0-1."""
    columns: Sequence[Mapping[str, Any]] = measured.get("columns", [])
    if not columns:
        return None
    most = max((item["drop"] for item in columns), default=0) or 1
    rows = [{**item, "bar": min(max(item["drop"] / most, 0.0), 1.0)} for item in columns]
    return {**measured, "columns": rows, "left_out": measured.get("left_out", [])}
