"""The report: complete, well-formed, without outside requests, and everything from data and people escaped."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from penstock.report.formatting import brief, document, number
from penstock.report.page import Report, render
from penstock.report.rendering import ENVIRONMENT, TEMPLATES
from penstock.report.svg import Axis, Plot, words

ANCHOR = r'href="#[a-z0-9-]+"'
"""A link within the page."""
HOSTILE = '"><script src="https://evil.example/x.js">alert(1)</script><img src=x onerror=alert(1)>'
VOID = {"meta", "br"}
SHAPES = {"line", "rect", "circle", "polyline"}
SIDE = {"roc_auc": 0.9123, "log_loss": 0.2581, "brier": 0.0741}
MODEL = {
    "roc": [[0.0, 0.0], [0.1, 0.7], [1.0, 1.0]],
    "pr": [[0.0, 1.0], [1.0, 0.2]],
    "calibration": [{"score": 0.1, "positive": 0.12, "rows": 50}, {"score": 0.8, "positive": 0.7, "rows": 50}],
    "threshold": 0.3217,
    "confusion": {"classes": ["false", "true"], "threshold": 0.3217, "rows": [[1449, 108], [105, 346]]},
    "histogram": {"edges": [0.0, 0.5, 1.0], "negative": [1500, 57], "positive": [101, 350]},
}
AMOUNTS = {
    "residuals": {"edges": [-2.0, 0.0, 2.0], "rows": [40, 55], "outside": 5},
    "points": [[1.0, 1.5], [3.0, 2.0]],
}
DATA = {
    "models": {"challenger": MODEL, "champion": MODEL},
    "importance": {
        "metric": "roc_auc",
        "rows": 4000,
        "repeats": 3,
        "columns": [
            {"column": "dep_delay", "drop": 0.3386, "spread": 0.0012},
            {"column": "seats", "drop": -0.0001, "spread": 0.0},
        ],
        "left_out": ["slow_column"],
    },
    "profile": {
        "rows": 6496,
        "columns": [
            {"column": "seats", "type": "integer", "role": "feature", "personal": False, "missing": 997,
             "numbers": {"least": 2.0, "q25": 55.5, "most": 400.0}},
            {"column": "dest", "type": "string", "role": "feature", "personal": False, "missing": 0, "distinct": 95,
             "top": [{"value": "ORD", "rows": 347}]},
            {"column": "tail", "type": "string", "role": "feature", "personal": True, "missing": 3},
        ],
    },
    "drift": {"sentence": "1 of 2", "columns": [{"column": "visib", "psi": 0.3644, "noise": 0.0201, "drifted": True}]},
}  # fmt: skip
EVALUATION = {
    "task": "binary", "holdout_rows": 2008, "positives": 0.2246, "spread": None, "threshold": 0.3217,
    "challenger": SIDE, "baseline": {name: value / 2 for name, value in SIDE.items()},
    "champion": {name: value * 0.9 for name, value in SIDE.items()}, "champion_version": 4,
    "slices": [{"slice": "origin=EWR", "rows": 613, "roc_auc": 0.8871}],
    "intervals": {"roc_auc": {"low": 0.0017, "high": 0.0233}},
    "latency": {"p99_ms": 1.7321}, "nothing": None,
}  # fmt: skip
VERDICT = {"gate": "roc_auc min", "number": 0.9123, "threshold": 0.85, "passed": True, "sentence": "0.9123 ≥ 0.8500"}
UPLOADS = [
    {"key": "raw/m/june.csv", "version_id": "v1", "rows": 6000, "bad": 12, "refusal": None,
     "reasons": {"seats: below 0": 9}},
    {"key": "raw/m/bad.csv", "version_id": "v2", "rows": 0, "bad": 0, "refusal": "dest is missing", "reasons": {}},
]  # fmt: skip


def report(**changed: Any) -> Report:
    about: dict[str, Any] = {
        "model": "flight-delay",
        "description": "Will it be late?",
        "target": "late",
        "outcome": "registered",
        "reason": "version 7: all 3 gates passed",
        "version": 7,
        "verdicts": [VERDICT],
        "evaluation": EVALUATION,
        "data": DATA,
        "training": {
            "rows": {"train": 6496, "holdout": 2008},
            "onnx_bytes": 481_516,
            "largest_export_difference": 3e-7,
        },
        "run": {"id": "a1b2c3", "cause": "june.csv came", "opened": "t0", "steps": {"validate": {"uploads": UPLOADS}}},
        "dataset": {
            "rows": 9990,
            "parts": [{"sha256": "ab" * 32, "rows": 4001, "uploads": ["s3://b/raw?versionId=v0"]}],
        },
        "digests": {"code": "c0de" * 16, "model SHA-256": "5a" * 32},
        "at": "2026-03-04T05:06:07",
    }
    return Report(**about | changed)


class Checked(HTMLParser):
    """Checks that tags are nested; collects tags and text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES, f"<{tag}/> is no HTML"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def numbers(value: Any) -> list[float]:
    """Return every number in a document, at any depth."""
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_the_page_is_well_formed_and_begins_with_the_decision() -> None:
    page = Checked(render(report()))
    assert (
        page.text.index("registered") < page.text.index("Gates") < page.text.index("Metrics: challenger and champion")
    )
    assert "version 7: all 3 gates passed" in page.text


@pytest.mark.parametrize(
    "reach", ["http://", "https://", "src=", "<script", "@import", "url(", "<link", "href", "<iframe"]
)
def test_the_page_makes_no_request(reach: str) -> None:
    page = re.sub(ANCHOR, "", render(report()))
    assert reach not in page.lower()
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_the_page_has_every_number() -> None:
    text = Checked(render(report())).text
    documents = [SIDE, EVALUATION["baseline"], EVALUATION["champion"], EVALUATION["slices"], EVALUATION["intervals"]]
    documents += [EVALUATION["latency"], VERDICT, MODEL["confusion"], DATA["drift"], UPLOADS, DATA["importance"]]
    missing = [value for value in numbers(documents) if number(value) not in text]
    assert missing == []
    profile: Any = DATA["profile"]
    assert [v for item in profile["columns"] for v in numbers(item) if brief(v) not in text] == []
    for words_of_it in (
        "2,008",
        "22.5%",
        "481,516",
        "9,990",
        "4,001",
        "15.3%",
        "june.csv",
        "dest is missing",
        "c0de" * 16,
        "v1",
    ):
        assert words_of_it in text
    assert "slow_column" in text


def test_a_personal_column_shows_no_value() -> None:
    columns = [{"column": "tail", "type": "string", "role": "feature", "personal": True, "missing": 3, "distinct": 2,
                "top": [{"value": "N12345", "rows": 5}]}]  # fmt: skip
    page = render(report(data={"profile": {"rows": 10, "columns": columns}}))
    assert "N12345" not in page
    assert "personal: not shown" in page


def poison(value: Any) -> Any:
    """Replace every text of a document by the hostile one."""
    if isinstance(value, Mapping):
        return {name: poison(item) for name, item in value.items()}
    if isinstance(value, list):
        return [poison(item) for item in value]
    return HOSTILE if isinstance(value, str) and value not in {"binary", "registered"} else value


def test_text_from_data_and_people_is_escaped() -> None:
    # Given a report in which every name, value and sentence attacks
    whole = vars(report())
    evaluation = poison(EVALUATION) | {HOSTILE: {HOSTILE: 1.5}, "slices": {HOSTILE: {HOSTILE: HOSTILE}}}
    run = {
        "id": HOSTILE,
        "cause": HOSTILE,
        "steps": {"validate": {"uploads": [UPLOADS[0] | {"reasons": {HOSTILE: 3}}]}},
    }
    digests = {HOSTILE: HOSTILE}
    page = render(Report(**poison(whole) | {"evaluation": evaluation, "run": run, "digests": digests, "version": 7}))
    # Then it is text, all of it
    parsed = Checked(page)
    assert HOSTILE in parsed.text
    names = {tag for tag, _ in parsed.tags}
    assert names.isdisjoint({"script", "img", "iframe", "link", "object"})
    attributes = {name for _, attrs in parsed.tags for name in attrs}
    assert not any(name.startswith("on") for name in attributes)
    assert "src" not in attributes
    # And the only links are those of the list of contents, whose targets are ours
    links = [str(attrs["href"]) for _, attrs in parsed.tags if "href" in attrs]
    assert all(re.fullmatch(r"#[a-z0-9-]+", link) for link in links)


def test_a_regression_has_its_own_plots() -> None:
    evaluation = EVALUATION | {"task": "regression", "threshold": None, "positives": None, "spread": 12.25}
    page = render(
        report(evaluation=evaluation, target="fare", data={"models": {"challenger": AMOUNTS, "champion": AMOUNTS}})
    )
    titles = re.findall(r"<figure><b>([^<]+)", page)
    assert titles == ["Predicted and actual", "Residuals", "Distribution of residuals"]
    assert "predicted fare" in page
    assert "12.2500" in page
    assert "ROC" not in page
    Checked(page)


MANY = {
    "confusion": {"classes": ["early", HOSTILE, "on time"], "rows": [[91, 4, 5], [7, 80, 13], [0, 2, 98]]},
    "roc_by_class": [
        {"name": name, "points": [[0.0, 0.0], [0.1, 0.7], [1.0, 1.0]]} for name in ("early", HOSTILE, "on time")
    ],
    "calibration": MODEL["calibration"],
}
EACH = [
    {"name": name, "rows": 1234, "precision": 0.9087, "recall": 0.8765, "f1": 0.8923, "roc_auc": 0.9541}
    for name in ("early", HOSTILE, "on time")
]
OF_MANY = EVALUATION | {"task": "multiclass", "threshold": None, "positives": None, "per_class": EACH}


def test_many_classes_have_their_own_plots() -> None:
    importance: Any = DATA["importance"] | {"metric": "log_loss"}  # type: ignore[operator]
    data = {"models": {"challenger": MANY, "champion": MANY}, "importance": importance}
    page = render(report(evaluation=OF_MANY, data=data))
    # Each class has a curve, of challenger and champion, and the label's probability is held against what happened
    titles = [unescape(title) for title in re.findall(r"<figure><b>([^<]+)", page)]
    assert titles == ["ROC curve: early", f"ROC curve: {HOSTILE}", "ROC curve: on time", "Calibration"]
    parsed = Checked(page)
    assert sum(tag == "polyline" for tag, _ in parsed.tags) == 2 * 4
    # And every number is there, with every class as text
    expected = numbers([MANY["confusion"], EACH])
    assert [value for value in expected if number(value) not in parsed.text] == []
    assert f"actual {HOSTILE}" in parsed.text
    assert "how much log_loss rises" in parsed.text.lower()
    assert "positive" not in parsed.text.replace("true positive rate", "").replace("false positive rate", "")
    assert "Per class" not in parsed.text
    assert "Metrics by class" in parsed.text


def test_a_confusion_of_very_many_classes_shows_counts_only() -> None:
    names = [f"c{index}" for index in range(20)]
    rows = [[7 if one == other else 1 for other in names] for one in names]
    data = {"models": {"challenger": {"confusion": {"classes": names, "rows": rows}, "roc_by_class": []}}}
    page = render(report(evaluation=OF_MANY | {"champion": None}, data=data))
    assert page.count('<td style="--part:') == 400
    assert 'class="confusion many"' in page
    assert "26.9%" not in page
    assert "ROC curve" not in page
    Checked(page)


def test_a_rejected_run_without_a_champion() -> None:
    failed = VERDICT | {"passed": False, "number": None, "sentence": "x was not measured"}
    evaluation = EVALUATION | {"champion": None, "champion_version": None}
    page = render(
        report(
            outcome="rejected",
            version=None,
            verdicts=[failed],
            evaluation=evaluation,
            data={"models": {"challenger": MODEL}},
        )
    )
    parsed = Checked(page)
    assert "rejected" in parsed.text
    assert "✗ failed" in parsed.text
    assert "No champion was compared" in parsed.text
    assert "champion (version" not in parsed.text


def test_sections_without_content_are_left_out() -> None:
    page = Checked(render(report(data={}, training={}, dataset={}, run={"id": "r"}, verdicts=[], digests={})))
    assert "Plots" not in page.text
    assert "The run took no new upload" in page.text


def test_the_same_documents_give_the_same_page() -> None:
    assert render(report()) == render(replace(report()))


def test_json_of_any_shape_is_displayed() -> None:
    deep: Any = {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}
    assert "…" in rendered(deep)
    assert unescape(rendered([{"x": 1.5, "y": {"low": 2.25}}, {"z": None}])).count("<td") == 4
    assert "and 50 more" in rendered([{"x": index} for index in range(250)])
    assert Checked(rendered(["a", "b", HOSTILE])).text.strip() == f"a, b, {HOSTILE}"


def rendered(value: Any) -> str:
    """Render any JSON document as the report does."""
    return str(ENVIRONMENT.get_template("macros.html").module.node(document(value)))  # type: ignore[attr-defined]


def test_the_contents_list_every_section_and_lead_to_it() -> None:
    page = Checked(render(report(evaluation=EVALUATION | {"per_class": EACH})))
    links = [str(attrs["href"]) for tag, attrs in page.tags if tag == "a"]
    ids = [f"#{attrs['id']}" for tag, attrs in page.tags if tag == "details"]
    assert links == ids
    assert len(set(ids)) == len(ids) == sum(tag == "h2" for tag, _ in page.tags) > 8


SLICES = [
    {"column": "origin", "value": value, "rows": rows, "metrics": metrics}
    for value, rows, metrics in [
        ("EWR", 613, {"challenger": {"roc_auc": 0.8871}, "champion": {"roc_auc": 0.8612}}),
        (HOSTILE, 12, {}),
    ]
]
DISPARITIES = [
    {
        "column": "carrier",
        "groups": [{"value": HOSTILE, "rows": 71, "selection_rate": 0.2143, "tpr": 0.5512, "fpr": None}],
        "selection_rate_difference": 0.0313, "selection_rate_ratio": 0.8471, "tpr_difference": None,
        "fpr_difference": 0.0127,
    }
]  # fmt: skip
INTERVALS = [
    {"metric": "roc_auc", "against": "champion", "confidence": 0.95, "difference": 0.0123, "low": 0.0017,
     "high": 0.0233, "resamples": 1000}
]  # fmt: skip
RISKS = {"beside": {"latency_ms": 0.0813, "onnx_mb": 0.4815, "leakage": 0.7334}, "leaking": "dep_delay"}


def test_slices_groups_intervals_and_risks_are_explained_and_whole() -> None:
    measured = {"slices": SLICES, "disparities": DISPARITIES, "intervals": INTERVALS} | RISKS
    page = Checked(render(report(evaluation=EVALUATION | measured)))
    assert [value for value in numbers([SLICES, DISPARITIES, INTERVALS, RISKS]) if number(value) not in page.text] == []
    for words_of_it in (
        "Slices", "A slice is the part of the holdout", "origin = EWR", f"origin = {HOSTILE}", "too few rows",
        "Groups", "Groups are the values of a column", "Groups of carrier",
        "Confidence intervals", "How certain a difference between two models is",
        "Latency, size and risks", "strongest feature alone", "dep_delay", "A gate is a limit",
    ):  # fmt: skip
        assert words_of_it in page.text
    assert "Beside" not in page.text
    assert "Leaking" not in page.text


@pytest.mark.parametrize("dots", [True, False])
def test_curves_that_coincide_are_told_apart_by_width_dashes_and_markers(dots: bool) -> None:
    plot = Plot("", Axis("x", 0, 1), Axis("y", 0, 1))
    points = [(index / 100, index / 100) for index in range(101)]
    for kind in ("b", "a"):
        plot.line(points, kind, dots=dots)
    names = [(item.name, str(item.attributes["class"])) for item in plot.elements()]
    # The wide dashed line of the champion lies below the thin one of the challenger
    assert names.index(("polyline", "line b")) < names.index(("polyline", "line a"))
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert re.search(r"\.line\.b \{[^}]*stroke-dasharray", style)
    assert float(re.search(r"\.line\.b \{[^}]*stroke-width: ([\d.]+)", style)[1]) > 2 * float(  # type: ignore[index]
        re.search(r"\.line\.a \{[^}]*stroke-width: ([\d.]+)", style)[1]  # type: ignore[index]
    )
    # And each has markers of its own shape, which do not hide each other
    circles = [float(str(item.attributes["cx"])) for item in plot.elements() if item.attributes["class"] == "dot a"]
    squares = [float(str(item.attributes["x"])) + 4 for item in plot.elements() if item.attributes["class"] == "dot b"]
    assert len(circles) == len(squares) == (101 if dots else 6)
    assert dots or not set(circles) & set(squares)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-7, 12, ["-5", "0", "5", "10"]),
        (0, 48_000, ["0", "10k", "20k", "30k", "40k"]),
        (0, 3e6, ["0", "1M", "2M", "3M"]),
        (0.0001, 0.0009, ["0.0002", "0.0004", "0.0006", "0.0008"]),
    ],
)
def test_axes_have_round_ticks(low: float, high: float, labels: list[str]) -> None:
    assert words(Axis("", low, high).ticks()) == labels


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0], [float("nan")], [-1e12, 1e12], [1e-9, 2e-9]])
def test_an_axis_holds_any_values(values: list[float]) -> None:
    axis = Axis.over("x", values)
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks()) <= 12
