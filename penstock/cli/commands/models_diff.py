"""`models diff A B`: compare two versions."""

from typing import Annotated, Any

import typer

from penstock.audit import side_by_side
from penstock.audit.dataset_diff import compare
from penstock.aws.s3_store import NoObjectError, Store
from penstock.cli.comparison_tables import metric_rows, parameter_rows
from penstock.cli.datasets import load_dataset
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import Word, as_json, console, line, table
from penstock.cli.target import Target
from penstock.ledger.ledger import NoRecordError, Record

MAX_COLUMNS = 5
"""Columns to name, largest shift first; `penstock data diff` lists all."""


def register(models: typer.Typer) -> None:
    """Add the command to the group `models`."""
    models.command()(diff)


def diff(
    a: Annotated[int, typer.Argument(metavar="A", help="A version.")],
    b: Annotated[int, typer.Argument(metavar="B", help="Another.")],
    *,
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Compare version A with version B: metrics, parameters, code, contract, data and gates."""
    target = Target.of(stage, model)
    comparison = side_by_side.versions(target.ledger, a, b)
    comparison["data"] = _compare_data(target, *(version["dataset"] for version in comparison["versions"]))
    if json:
        as_json(comparison)
        return
    console.print(f"{target.model}: from version {a} to version {b}")
    table(["metric", f"version {a}", f"version {b}", "change"], metric_rows(comparison["metrics"]), title="metrics")
    if rows := parameter_rows(comparison["parameters"]):
        table(["parameter", f"version {a}", f"version {b}"], rows, title="parameters that differ")
    table(["", f"version {a}", f"version {b}", ""], _digest_rows(comparison), title="digests")
    table(["gate", f"version {a}", f"version {b}"], _gate_rows(comparison["gates"]), title="gates")
    console.print(line(*_data_sentences(comparison["data"])))


def _digest_rows(comparison: Record) -> list[tuple[str, ...]]:
    versions = comparison["versions"]
    pairs = {"model file": [version["sha256"] for version in versions]} | comparison["digests"]
    pairs["dataset"] = [version["dataset"] for version in versions]
    return [
        (name, *((digest or "–")[:12] for digest in both), "" if both[0] == both[1] else "differs")
        for name, both in pairs.items()
    ]


def _gate_rows(gates: list[Record]) -> list[tuple[Word, ...]]:
    """Return marks and numbers of the verdicts; two sentences do not fit into a line."""
    return [(gate["gate"], *(_describe_verdict(verdict) for verdict in gate["verdicts"])) for gate in gates]


def _describe_verdict(verdict: Record | None) -> Word:
    if verdict is None:
        return "no such gate"
    limit = "" if verdict["threshold"] is None else f" (limit {verdict['threshold']:.4f})"
    number = "not measured" if verdict["number"] is None else f"{verdict['number']:.4f}"
    return (f"{'✓' if verdict['passed'] else '✗'} {number}{limit}", "green" if verdict["passed"] else "red")


def _compare_data(target: Target, a: str, b: str) -> Record:
    """Compare two dataset versions as `data diff` does; with the reason where they cannot be compared."""
    if a == b:
        return {"same": True}
    store, lake = Store(target.lake.bucket), target.lake
    try:
        one, two = (load_dataset(target, store, target.ledger.dataset(name)) for name in (a, b))
        return {"same": False, "compared": compare(one, two, lambda part: store.read(lake.part(part)))}
    except (NoRecordError, NoObjectError) as error:
        return {"same": False, "compared": None, "reason": str(error)}


def _data_sentences(data: Record) -> list[str]:
    if data["same"]:
        return ["data: both were trained on the same dataset version"]
    if (comparison := data["compared"]) is None:
        return [f"data: cannot be compared: {data['reason']}"]
    rows, parts = comparison["rows"], comparison["parts"]
    sentences = [
        f"data: {rows['a']:,} → {rows['b']:,} rows ({rows['change']:+,}), "
        f"{len(parts['added'])} parts more, {len(parts['removed'])} fewer, {parts['kept']} kept"
    ]
    sentences += [f"\ncolumns {change}: {', '.join(names)}" for change, names in comparison["columns"].items() if names]
    shifts: list[dict[str, Any]] = [item for item in comparison["distributions"] if item["psi"] > item["noise"]]
    if shifts:
        columns = ", ".join(f"{item['column']} (PSI {item['psi']:.3f})" for item in shifts[:MAX_COLUMNS])
        more = f" and {len(shifts) - MAX_COLUMNS} others" if len(shifts) > MAX_COLUMNS else ""
        sentences.append(f"\ndistributions that differ by more than chance: {columns}{more}; all: `penstock data diff`")
    return sentences
