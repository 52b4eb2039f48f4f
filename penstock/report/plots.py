"""A report's plots: what the training job measured, champion over challenger where there is one."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.report.figures import KINDS, Curves, calibration, captioned, confusion, curve, figure, key
from penstock.report.html import Html, join, number, table, tag
from penstock.report.multiclass import classes
from penstock.report.svg import Axis, Plot, share_bar
from penstock.spec.model import LOWER_IS_BETTER


def plots(task: str, models: Mapping[str, Curves], target: str) -> Html:
    """All plots of a task; none where nothing was measured for it.

    Args:
        task: of the model.
        models: `challenger`, and `champion` where it was compared; what `report-data.json` has of each.
        target: the column that is predicted, for the axes of an amount.
    """
    found = {name: models[name] for name in KINDS if models.get(name)}
    if task == "multiclass":
        return classes(found)
    figures = _two(found) if task == "binary" else _amounts(found, target)
    tables = [confusion(name, model["confusion"]) for name, model in found.items() if model.get("confusion")]
    return join([tag("div", *figures, css="plots"), tag("div", *tables, css="pair")]) if figures or tables else Html("")


def _two(models: Mapping[str, Curves]) -> list[Html]:
    rate = ("false positive rate (share of negatives)", "true positive rate")
    return [
        *curve(models, "roc", "ROC curve", rate, "The dotted line is guessing.", ((0, 0), (1, 1))),
        *curve(models, "pr", "Precision and recall", ("recall (share of positives)", "precision"), "", None),
        *calibration(
            models,
            ("mean score of the bin", "share that was positive"),
            "On the dotted line a score is the probability that it says.",
        ),
        *_scores(models),
    ]


def _scores(models: Mapping[str, Curves]) -> list[Html]:
    found = models.get("challenger", {}).get("histogram")
    if not found:
        return []
    shares = {kind: _shares(found[kind]) for kind in ("negative", "positive")}
    top = max((*shares["negative"], *shares["positive"]), default=1) or 1
    plot = Plot("Scores by class", Axis("score", 0, 1), Axis("share of the class' rows", 0, top * 1.05))
    plot.bars(found["edges"], shares["negative"], "a")
    plot.bars(found["edges"], shares["positive"], "b")
    if (threshold := models["challenger"].get("threshold")) is not None:
        plot.guide((threshold, 0), (threshold, top * 1.05))
    rows = f"Challenger; {sum(found['negative']):,} negative rows and {sum(found['positive']):,} positive ones."
    legend = join((key("a", "negative", "bar"), key("b", "positive", "bar")))
    return [captioned(plot, join((f"{rows} The dotted line is the threshold. ", legend)))]


def _amounts(models: Mapping[str, Curves], target: str) -> list[Html]:
    points = {name: model["points"] for name, model in models.items() if model.get("points")}
    found: list[Html] = []
    if own := points.get("challenger"):
        both = Axis.over("", [value for point in own for value in point])
        ends = (both.low, both.high)
        actual = Plot("Predicted and actual", Axis(f"predicted {target}", *ends), Axis(f"actual {target}", *ends))
        actual.guide((both.low, both.low), (both.high, both.high))
        actual.cloud(own, "a")
        apart = [(predicted, truth - predicted) for predicted, truth in own]
        residuals = Plot(
            "Residuals",
            Axis.over(f"predicted {target}", [x for x, _ in apart]),
            Axis.over("actual − predicted", [0, *(y for _, y in apart)]),
        )
        residuals.guide((residuals.x.low, 0), (residuals.x.high, 0))
        residuals.cloud(apart, "a")
        said = f"Challenger, {len(own):,} rows of the holdout."
        found += [figure(actual, f"{said} On the dotted line the answer is right.", []), figure(residuals, said, [])]
    return found + _residuals(models)


def _residuals(models: Mapping[str, Curves]) -> list[Html]:
    drawn = {name: model["residuals"] for name, model in models.items() if model.get("residuals")}
    if not drawn:
        return []
    shares = {name: _shares(item["rows"]) for name, item in drawn.items()}
    top = max((share for item in shares.values() for share in item), default=1) or 1
    edges = [edge for item in drawn.values() for edge in item["edges"]]
    plot = Plot("How far off", Axis.over("actual − predicted", edges), Axis("share of rows", 0, top * 1.05))
    for name, item in drawn.items():
        plot.bars(item["edges"], shares[name], KINDS[name])
    plot.guide((0, 0), (0, top * 1.05))
    outside = drawn.get("challenger", {}).get("outside", 0)
    note = f"{outside:,} of the challenger's rows lie beyond the plot." if outside else ""
    return [figure(plot, note, list(drawn), shape="bar")]


def importance(found: Mapping[str, Any]) -> Html:
    """What the score owes to each column."""
    columns: Sequence[Mapping[str, Any]] = found.get("columns", [])
    if not columns:
        return Html("")
    most = max((item["drop"] for item in columns), default=0) or 1
    rows = [
        (item["column"], Html(share_bar(item["drop"] / most)), item["drop"], Html(f"± {number(item['spread'])}"))
        for item in columns
    ]
    metric = found["metric"]
    way = ("rises", "rise") if metric in LOWER_IS_BETTER else ("falls", "fall")
    said = (
        f"How much {metric} {way[0]} when a column's values are dealt out anew among {found['rows']:,} rows of the "
        f"holdout; mean and spread of {found['repeats']} times. Columns that say the same share their importance."
    )
    left = found.get("left_out", [])
    more = f" Left out, for time: {', '.join(left)}." if left else ""
    return join((tag("p", said + more, css="note"), table(["column", "", f"{way[1]} of {metric}", "spread"], rows)))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
