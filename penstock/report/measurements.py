"""Sections for everything else that `evaluation.json` holds: slices, groups, intervals, latency and others."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.report.formatting import Facts, Table, document, words
from penstock.report.section import Section

ELSEWHERE = {
    "task", "holdout_rows", "positives", "spread", "threshold", "challenger", "baseline", "champion",
    "champion_version", "per_class",
}  # fmt: skip
"""Keys that other sections show."""
HEADINGS = {
    "intervals": (
        "Confidence intervals",
        "How certain a difference between two models is. The holdout is resampled many times and the difference "
        "measured each time; the interval holds the given share of the results. Above 0 the challenger is better: "
        "an interval that lies wholly above 0 is hardly chance.",
    ),
    "slices": (
        "Slices",
        "A slice is the part of the holdout in which a column has one value, or a number lies between two quartiles. "
        "Each model is measured on each slice; a slice with too few rows has no metrics.",
    ),
    "disparities": (
        "Groups",
        "Groups are the values of a column that the model must treat alike. Selection rate: the share labelled "
        "positive; TPR and FPR: that share among rows that really are positive, and really negative. A difference is "
        "the largest rate minus the smallest, a ratio the smallest over the largest (0.8 or more by the four-fifths "
        "rule).",
    ),
    "beside": (
        "Latency, size and risks",
        "Other numbers that gates can limit. Leakage: how well the strongest feature predicts alone; near 1, it may "
        "know what happened after the prediction. Instability: how much a score changes when the model is trained "
        "again.",
    ),
}
LABELS = {"latency_ms": "latency of one row, ms", "onnx_mb": "model file, MB"}
Records = Sequence[Mapping[str, Any]]


def evaluation_sections(evaluation: Mapping[str, Any]) -> list[Section]:
    """Return a section for each key of the evaluation that no other section shows."""
    keys = [key for key, value in evaluation.items() if key not in ELSEWHERE and value not in (None, {}, [])]
    if "beside" in keys and "leaking" in keys:
        keys.remove("leaking")
    return [_section(key, f"measurement-{place}", evaluation) for place, key in enumerate(keys, start=1)]


def _section(key: str, anchor: str, evaluation: Mapping[str, Any]) -> Section:
    value = evaluation[key]
    title, explanation = HEADINGS.get(key, (words(key).capitalize(), ""))
    nodes: list[tuple[str, Any]] = [("", document(value))]
    if key == "slices" and _are_records(value, "column", "value", "rows", "metrics"):
        nodes = [("", _slice_table(value))]
    elif key == "disparities" and _are_records(value, "column", "groups"):
        nodes = [node for item in value for node in _group_nodes(item)]
    elif key == "beside" and isinstance(value, Mapping):
        strongest = {"strongest feature alone": evaluation["leaking"]} if "leaking" in evaluation else {}
        nodes = [
            ("", Facts([(LABELS.get(name, words(name)), number) for name, number in {**value, **strongest}.items()]))
        ]
    return Section(anchor, title, explanation, "nodes.html", nodes)


def _are_records(value: Any, *fields: str) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) and set(fields) <= set(item) for item in value)


def _slice_table(slices: Records) -> Table:
    """Return one row for each slice and model."""
    metrics = list(dict.fromkeys(name for item in slices for side in item["metrics"].values() for name in side))
    rows: list[list[Any]] = []
    for item in slices:
        sides = item["metrics"] or {"too few rows": {}}
        name = _slice_name(item["column"], str(item["value"]))
        rows += [[name, item["rows"], role, *(side.get(metric) for metric in metrics)] for role, side in sides.items()]
    return Table(["slice", "rows", "model", *map(words, metrics)], rows)


def _slice_name(column: str, value: str) -> str:
    """Return `distance ≤ 502` for a range, `origin = EWR` for a value."""
    return f"{column} {value}" if value.startswith(("≤ ", "> ")) else f"{column} = {value}"


def _group_nodes(disparity: Mapping[str, Any]) -> list[tuple[str, Any]]:
    apart = {name: value for name, value in disparity.items() if name not in {"column", "groups"}}
    return [(f"Groups of {disparity['column']}", document(disparity["groups"])), ("", document(apart))]
