"""`runs --compare`: runs beside each other, a column each."""

from penstock.audit import side_by_side
from penstock.cli.comparison_tables import metric_rows, parameter_rows
from penstock.cli.output import Word, as_json, coloured, console, mark, table
from penstock.ledger.ledger import Ledger, Record

BESIDE = 5
"""Runs that are compared where none is named: as many as a terminal has room for."""


def show_beside(ledger: Ledger, runs: list[Record], *, json: bool) -> None:
    """Print runs beside each other, the best value of each metric marked."""
    found = side_by_side.runs(ledger, runs)
    if json:
        as_json(found)
        return
    if not runs:
        console.print("no run was judged by the gates yet: there is nothing to compare")
        return
    names = [run["id"] for run in found["runs"]]
    table(["", *names], _about(found), title="runs")
    table(["metric (* best)", *names], metric_rows(found["metrics"]), title="metrics")
    if rows := parameter_rows(found["parameters"]):
        table(["parameter", *names], rows, title="parameters that differ")
    table(["gate", *names], [_gate(gate) for gate in found["gates"]], title="gates")


def _about(found: Record) -> list[tuple[Word, ...]]:
    runs = found["runs"]
    rows: list[tuple[Word, ...]] = [
        ("ending", *(coloured(run["outcome"]) for run in runs)),
        ("trigger", *(run["trigger"] for run in runs)),
        ("opened", *(run["opened"][:19] for run in runs)),
        ("took", *("–" if run["seconds"] is None else f"{run['seconds']:.1f} s" for run in runs)),
        ("dataset", *((run["dataset"] or "–")[:12] for run in runs)),
        ("rows", *("–" if run["rows"] is None else f"{run['rows']:,}" for run in runs)),
        ("version", *("–" if run["version"] is None else str(run["version"]) for run in runs)),
    ]
    if any(run["mlflow"] for run in runs):
        rows.append(("MLflow run", *((run["mlflow"] or "–").rpartition("/")[2] for run in runs)))
    return rows + [(name, *((digest or "–")[:12] for digest in of)) for name, of in found["digests"].items()]


def _gate(gate: Record) -> tuple[Word, ...]:
    marks = ("–" if verdict is None else mark(good=verdict["passed"]) for verdict in gate["verdicts"])
    return (gate["gate"], *marks)
