"""`runs --compare`: runs side by side, a column each."""

from penstock.audit import side_by_side
from penstock.cli.comparison_tables import metric_rows, parameter_rows
from penstock.cli.output import Word, as_json, coloured, console, mark, table
from penstock.ledger.ledger import Ledger, Record

DEFAULT_RUNS = 5
"""Number of runs to compare without ids: as many as fit into a terminal."""


def print_comparison(ledger: Ledger, runs: list[Record], *, json: bool) -> None:
    """Print runs side by side, the best value of each metric marked."""
    comparison = side_by_side.runs(ledger, runs)
    if json:
        as_json(comparison)
        return
    if not runs:
        console.print("no run was judged by the gates yet: there is nothing to compare")
        return
    names = [run["id"] for run in comparison["runs"]]
    table(["", *names], _summary_rows(comparison), title="runs")
    table(["metric (* best)", *names], metric_rows(comparison["metrics"]), title="metrics")
    if rows := parameter_rows(comparison["parameters"]):
        table(["parameter", *names], rows, title="parameters that differ")
    table(["gate", *names], [_gate_row(gate) for gate in comparison["gates"]], title="gates")


def _summary_rows(comparison: Record) -> list[tuple[Word, ...]]:
    runs = comparison["runs"]
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
    return rows + [(name, *((digest or "–")[:12] for digest in of)) for name, of in comparison["digests"].items()]


def _gate_row(gate: Record) -> tuple[Word, ...]:
    marks = ("–" if verdict is None else mark(good=verdict["passed"]) for verdict in gate["verdicts"])
    return (gate["gate"], *marks)
