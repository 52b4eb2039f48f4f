"""The report of a model version, or of a rejected run: one HTML page, the decision first.

Pure: documents in, text out. The page is self-contained: its style and its plots are inside, it has no script, and its
own policy (CSP) forbids the browser every request. What comes from data or people is escaped by the templates. A
number that the evaluation has and this package has no section for is shown all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.evaluation import tuning_record as tuning
from penstock.report.formatting import Table
from penstock.report.measurements import evaluation_sections
from penstock.report.multiclass import class_table
from penstock.report.plots import importance, plots
from penstock.report.rendering import render_template
from penstock.report.section import Section
from penstock.spec.model import LOWER_IS_BETTER

MAX_UPLOADS = 100
SIDES = {"challenger": "challenger", "champion": "champion (version {})", "baseline": "naive baseline"}
Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The content of a report: results of the run, the training job and the gates."""

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
    """Return the page."""
    name = f"{report.model} version {report.version}" if report.version is not None else report.model
    return render_template(
        "page.html",
        title=f"{name} · run {report.run.get('id', '')}",
        report=report,
        sections=[section for section in _sections(report) if section.content],
    )


def _sections(report: Report) -> list[Section]:
    evaluation, data = report.evaluation, report.data
    measured = data.get("importance") or {}
    return [
        Section(
            "gates",
            "Gates",
            "A gate is a limit that model.yaml sets for a number measured on the holdout. A version is registered only "
            "if it passes all gates.",
            "gates.html",
            {"verdicts": report.verdicts},
        ),
        Section(
            "metrics",
            "Metrics: challenger and champion",
            "The challenger is the model of this report; the champion is the version that was live when it was "
            "trained. The naive baseline knows how often each answer occurs, and no feature.",
            "metrics.html",
            _metrics(evaluation),
        ),
        Section(
            "classes",
            "Metrics by class",
            "Of the challenger. Precision: how many of a label's rows really have the class. Recall: how many rows of "
            "the class get the label. F1: their harmonic mean. ROC AUC: the class against all others.",
            "nodes.html",
            _only(class_table(evaluation.get("per_class") or [])),
        ),
        Section(
            "plots",
            "Plots",
            "Measured on the holdout.",
            "plots.html",
            plots(str(evaluation.get("task", "")), data.get("models") or {}, report.target),
        ),
        *evaluation_sections(evaluation),
        Section(
            "importance",
            "Feature importance",
            "How much worse the model predicts when the values of one column are shuffled. Columns that hold the same "
            "information share their importance; importance is no cause.",
            "importance.html",
            _importance(measured),
        ),
        Section(
            "data",
            "Training data",
            "The rows that the challenger was fitted on, column by column.",
            "training_data.html",
            _training_data(data),
        ),
        Section(
            "uploads",
            "Uploads of this run",
            "The files that this run added to the dataset. Rows that break the data contract are quarantined.",
            "uploads.html",
            _uploads(report.run),
        ),
        Section(
            "provenance",
            "Provenance",
            "What the model was made from, each part with its digest or address.",
            "provenance.html",
            {"facts": _facts(report), "digests": _digests(report), "sources": _sources(report.dataset)},
        ),
    ]


def _only(node: Any) -> list[tuple[str, Any]]:
    """Return one node, without a heading of its own, as the content of a section."""
    return [] if node is None else [("", node)]


def _metrics(evaluation: Document) -> Document:
    roles = [role for role in SIDES if evaluation.get(role)]
    names = dict.fromkeys(name for role in roles for name in evaluation[role])
    heads = ["metric", *(SIDES[role].format(evaluation.get("champion_version")) for role in roles)]
    return {
        "table": Table(heads, [[name, *(evaluation[role].get(name) for role in roles)] for name in names]),
        "holdout_rows": evaluation.get("holdout_rows", 0),
        "positives": evaluation.get("positives"),
        "threshold": evaluation.get("threshold"),
        "spread": evaluation.get("spread"),
        "has_champion": bool(evaluation.get("champion")),
    }


def _importance(measured: Document) -> Document | None:
    content = importance(measured)
    if content is None:
        return None
    rises = content["metric"] in LOWER_IS_BETTER
    return content | {"verb": "rises" if rises else "falls", "noun": "rise" if rises else "fall"}


def _training_data(data: Document) -> Document | None:
    profile, drift = data.get("profile") or {}, data.get("drift") or {}
    if not profile.get("columns") and not drift:
        return None
    return {"rows": profile.get("rows", 0), "columns": profile.get("columns", []), "drift": drift}


def _uploads(run: Document) -> Document:
    """Return the uploads that the run accepted, and those it put in quarantine, with reasons."""
    uploads = run.get("steps", {}).get("validate", {}).get("uploads", [])
    return {"uploads": uploads[:MAX_UPLOADS], "omitted": max(0, len(uploads) - MAX_UPLOADS)}


def _facts(report: Report) -> list[tuple[str, Any]]:
    counts = ", ".join(f"{count:,} {name}" for name, count in report.training.get("rows", {}).items())
    size, difference = report.training.get("onnx_bytes"), report.training.get("largest_export_difference")
    params = report.training.get("params") or {}
    step = report.run.get("steps", {}).get("tuning")
    pairs = [
        ("run", report.run.get("id")),
        ("cause", report.run.get("cause")),
        ("opened", report.run.get("opened")),
        ("rows", counts or None),
        ("dataset rows", report.dataset.get("rows")),
        ("model file", None if size is None else f"{size:,} bytes"),
        ("params", ", ".join(f"{name}={value}" for name, value in params.items()) or None),
        ("tuned", f"{tuning.sentence(step)} (chosen on the validation rows)" if step else None),
        ("export", None if difference is None else f"file and estimator differ by at most {difference:.3g}"),
    ]
    return [(name, value) for name, value in pairs if value is not None]


def _digests(report: Report) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in report.digests.items() if value]


def _sources(dataset: Document) -> Document:
    """Return every upload that the dataset version was made of."""
    uploads = [
        {"upload": upload, "rows": part.get("rows"), "part": part.get("sha256", "")}
        for part in dataset.get("parts", [])
        for upload in part.get("uploads", [])
    ]
    return {"uploads": uploads[:MAX_UPLOADS], "count": len(uploads), "omitted": max(0, len(uploads) - MAX_UPLOADS)}
