"""The report of a model version, or of a run that gave none: one HTML page, the decision first.

Pure: documents in, text out. The page is self-contained: its style and its plots are inside, it has no script, and its
own policy (CSP) forbids the browser every request. What comes from data or people is escaped. A number that the
evaluation has and this module does not know by name is shown all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from penstock.evaluation import tuning_record as tuning
from penstock.report.html import Html, brief, code, document, facts, join, number, percent, section, table, tag, text
from penstock.report.multiclass import per_class
from penstock.report.plots import importance, plots
from penstock.report.style import STYLE

KNOWN = {
    "task", "holdout_rows", "positives", "spread", "threshold", "challenger", "baseline", "champion",
    "champion_version", "per_class",
}  # fmt: skip
"""Of an evaluation: what has its place in the report; the rest is a section of its own."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
MOST_UPLOADS = 100
Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report is made of, as the run, the training job and the gates left it."""

    model: str
    description: str
    target: str
    """The column that is predicted."""
    outcome: str
    """`registered` or `rejected`."""
    reason: str
    version: int | None
    """None where the run was rejected."""
    verdicts: Sequence[Document]
    """`penstock.evaluation.gates.Verdict` as records."""
    evaluation: Document
    """`evaluation.json`."""
    data: Document
    """`report-data.json`; empty where the job left none."""
    training: Document
    """`report.json`."""
    run: Document
    """The run's record in the ledger."""
    dataset: Document
    """The dataset version's record in the ledger."""
    digests: Document = field(default_factory=dict)
    """Name → digest or address of what went in and came out."""
    at: str = ""


def render(report: Report) -> str:
    """The page."""
    name = f"{report.model} version {report.version}" if report.version is not None else report.model
    title = f"{name} · run {report.run.get('id', '')}"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    body = [
        tag(
            "header",
            tag("h1", title),
            tag("p", report.description),
            tag("p", f"decided {report.at}" if report.at else ""),
        ),
        _decision(report),
        section("Gates", _gates(report.verdicts)),
        section("Champion against challenger", _metrics(report.evaluation)),
        section("Class by class", per_class(report.evaluation.get("per_class") or [])),
        section("Plots", plots(_task(report), report.data.get("models") or {}, report.target)),
        *_others(report.evaluation),
        section("Importance of the columns", importance(report.data.get("importance") or {})),
        section("Training data", _profile(report.data.get("profile") or {}), _drift(report.data.get("drift") or {})),
        section("Uploads of this run", _uploads(report.run)),
        section("Origin", _origin(report)),
    ]
    return f"{head}<body>{join(body)}</body></html>\n"


def _task(report: Report) -> str:
    return str(report.evaluation.get("task", ""))


def _decision(report: Report) -> Html:
    good = report.outcome == "registered"
    return tag(
        "div", tag("strong", report.outcome), tag("p", report.reason), css=f"decision {'good' if good else 'bad'}"
    )


def _gates(verdicts: Sequence[Document]) -> Html:
    rows = [
        (
            verdict["gate"],
            tag("span", "✓ passed", css="good") if verdict["passed"] else tag("span", "✗ failed", css="bad"),
            verdict["number"],
            verdict["threshold"],
            verdict["sentence"],
        )
        for verdict in verdicts
    ]
    return table(["gate", "verdict", "number", "threshold", "said"], rows) if rows else text("model.yaml has no gates.")


def _metrics(evaluation: Document) -> Html:
    version = evaluation.get("champion_version")
    sides = {"challenger": "challenger", "champion": f"champion (version {version})", "baseline": "naive baseline"}
    found = {side: evaluation[side] for side in sides if evaluation.get(side)}
    names = dict.fromkeys(name for metrics in found.values() for name in metrics)
    rows = [[name, *(metrics.get(name) for metrics in found.values())] for name in names]
    without = "" if evaluation.get("champion") else " No champion was compared: none is live, or it answers otherwise."
    about = [f"{evaluation.get('holdout_rows', 0):,} rows of the holdout, which no model was trained on."]
    if (share := evaluation.get("positives")) is not None:
        about.append(f"{percent(share)} of them are positive.")
    if (threshold := evaluation.get("threshold")) is not None:
        about.append(f"The challenger's threshold is {number(threshold)}.")
    if (spread := evaluation.get("spread")) is not None:
        about.append(f"The target's standard deviation is {number(spread)}.")
    return join((tag("p", " ".join(about) + without, css="note"), table(["metric", *(sides[s] for s in found)], rows)))


def _others(evaluation: Document) -> list[Html]:
    """Whatever else was measured: slices, intervals, and what comes after this was written."""
    return [
        section(name.replace("_", " ").capitalize(), document(value))
        for name, value in evaluation.items()
        if name not in KNOWN and value not in (None, {}, [])
    ]


def _profile(profile: Document) -> Html:
    if not (columns := profile.get("columns")):
        return Html("")
    rows = [
        (
            item["column"],
            f"{item['type']}, {item['role']}",
            join((f"{item['missing']:,} ", tag("small", f"({percent(item['missing'] / max(profile['rows'], 1))})"))),
            _values(item),
        )
        for item in columns
    ]
    said = f"{profile['rows']:,} rows that the challenger was fitted on."
    return join((tag("p", said, css="note"), table(["column", "type, role", "missing", "values"], rows)))


def _values(item: Document) -> Html:
    if item["personal"]:
        return tag("em", "personal: not shown")
    if numbers := item.get("numbers"):
        return text(" · ".join(f"{_point(name)}: {brief(value)}" for name, value in numbers.items()))
    top = [f"{value['value']} ({value['rows']:,})" for value in item.get("top", [])]
    if "distinct" not in item:
        return text("none")
    return text(f"{item['distinct']:,} distinct{': ' if top else ''}{', '.join(top)}")


def _point(name: str) -> str:
    return f"{name[1:]} %" if name[:1] == "q" else name


def _drift(found: Document) -> Html:
    if not found:
        return Html("")
    rows = [
        (
            item["column"],
            item["psi"],
            item["noise"],
            tag("span", "drifted", css="bad") if item["drifted"] else "no drift",
        )
        for item in found["columns"]
    ]
    heads = ["column", "PSI", "by chance at most", "verdict"]
    return join((tag("h3", "Against the champion's baseline"), tag("p", found["sentence"]), table(heads, rows)))


def _uploads(run: Document) -> Html:
    """What the run's validation took and what it put in quarantine, with reasons."""
    uploads = run.get("steps", {}).get("validate", {}).get("uploads", [])
    if not uploads:
        return tag("p", "The run took no new upload: it trained on the dataset as it was.")
    rows = [
        (code(item["key"]), item["rows"], item["bad"], _quarantined(item), code(item.get("version_id", "")))
        for item in uploads[:MOST_UPLOADS]
    ]
    more = [tag("p", f"and {len(uploads) - MOST_UPLOADS:,} more")] if len(uploads) > MOST_UPLOADS else []
    return join((table(["upload", "rows", "quarantined", "why", "S3 version"], rows), *more))


def _quarantined(item: Document) -> Html:
    if item.get("refusal"):
        return join((tag("span", "the whole file: ", css="bad"), item["refusal"]))
    reasons = [text(f"{reason}: {count:,}") for reason, count in item.get("reasons", {}).items()]
    return Html("<br>".join(reasons)) if reasons else text("–")


def _origin(report: Report) -> Html:
    rows = report.training.get("rows", {})
    sides = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    size, difference = report.training.get("onnx_bytes"), report.training.get("largest_export_difference")
    about = [
        ("run", report.run.get("id")),
        ("cause", report.run.get("cause")),
        ("opened", report.run.get("opened")),
        ("rows", sides or None),
        ("dataset rows", report.dataset.get("rows")),
        ("model file", None if size is None else f"{size:,} bytes"),
        ("params", _params(report.training.get("params"))),
        ("tuned", _tuned(report.run)),
        ("export", None if difference is None else f"file and estimator differ by at most {difference:.3g}"),
    ]
    digests = [(name, code(value)) for name, value in report.digests.items() if value]
    return join((facts([*about, *digests]), _sources(report.dataset)))


def _params(params: Document | None) -> str | None:
    """What `fit` was given."""
    return ", ".join(f"{name}={value}" for name, value in params.items()) if params else None


def _tuned(run: Document) -> str | None:
    step = run.get("steps", {}).get("tuning")
    return f"{tuning.sentence(step)} (chosen on the validation rows)" if step else None


def _sources(dataset: Document) -> Html:
    """Every upload that the dataset version was made of."""
    found = [(upload, part) for part in dataset.get("parts", []) for upload in part.get("uploads", [])]
    if not found:
        return Html("")
    rows = [(code(upload), part.get("rows"), code(part.get("sha256", ""))) for upload, part in found[:MOST_UPLOADS]]
    title = tag("h3", f"The dataset's {len(found):,} uploads")
    more = [tag("p", f"and {len(found) - MOST_UPLOADS:,} more, in the ledger")] if len(found) > MOST_UPLOADS else []
    return join((title, table(["upload", "rows", "part"], rows), *more))
