"""`models diff A B`: two versions beside each other."""

from typing import Annotated, Any

import typer

from penstock.audit import side_by_side
from penstock.audit.dataset_diff import compare
from penstock.aws.s3_store import NoObjectError, Store
from penstock.cli.commands.data import dataset_of
from penstock.cli.comparison_tables import metric_rows, parameter_rows
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import Word, as_json, console, line, table
from penstock.cli.target import Target
from penstock.ledger.ledger import NoRecordError, Record

SHOWN = 5
"""Columns whose distributions moved most; `penstock data diff` has them all."""


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
    """Say what differs from version A to version B: metrics, parameters, code, contract, data and gates."""
    target = Target.of(stage, model)
    found = side_by_side.versions(target.ledger, a, b)
    found["data"] = _data(target, *(one["dataset"] for one in found["versions"]))
    if json:
        as_json(found)
        return
    console.print(f"{target.model}: from version {a} to version {b}")
    table(["metric", f"version {a}", f"version {b}", "change"], metric_rows(found["metrics"]), title="metrics")
    if rows := parameter_rows(found["parameters"]):
        table(["parameter", f"version {a}", f"version {b}"], rows, title="parameters that differ")
    table(["", f"version {a}", f"version {b}", ""], _digests(found), title="digests")
    table(["gate", f"version {a}", f"version {b}"], _gates(found["gates"]), title="gates")
    console.print(line(*_sentences(found["data"])))


def _digests(found: Record) -> list[tuple[str, ...]]:
    pairs = {"model file": [one["sha256"] for one in found["versions"]]} | found["digests"]
    pairs["dataset"] = [one["dataset"] for one in found["versions"]]
    return [
        (name, *((digest or "–")[:12] for digest in both), "" if both[0] == both[1] else "differs")
        for name, both in pairs.items()
    ]


def _gates(gates: list[Record]) -> list[tuple[Word, ...]]:
    """The verdicts' marks and numbers; a sentence would not fit twice in a line."""
    return [(gate["gate"], *(_verdict(verdict) for verdict in gate["verdicts"])) for gate in gates]


def _verdict(verdict: Record | None) -> Word:
    if verdict is None:
        return "not asked"
    limit = "" if verdict["threshold"] is None else f" (limit {verdict['threshold']:.4f})"
    number = "not measured" if verdict["number"] is None else f"{verdict['number']:.4f}"
    return (f"{'✓' if verdict['passed'] else '✗'} {number}{limit}", "green" if verdict["passed"] else "red")


def _data(target: Target, a: str, b: str) -> Record:
    """What `data diff` says, or why it can say nothing."""
    if a == b:
        return {"same": True}
    store, lake = Store(target.lake.bucket), target.lake
    try:
        one, two = (dataset_of(target, store, target.ledger.dataset(name)) for name in (a, b))
        return {"same": False, "compared": compare(one, two, lambda part: store.read(lake.part(part)))}
    except (NoRecordError, NoObjectError) as error:
        return {"same": False, "compared": None, "reason": str(error)}


def _sentences(data: Record) -> list[str]:
    if data["same"]:
        return ["data: both were trained on the same dataset version"]
    if (found := data["compared"]) is None:
        return [f"data: cannot be compared: {data['reason']}"]
    rows, parts = found["rows"], found["parts"]
    said = [
        f"data: {rows['a']:,} → {rows['b']:,} rows ({rows['change']:+,}), "
        f"{len(parts['added'])} parts more, {len(parts['removed'])} fewer, {parts['kept']} kept"
    ]
    said += [f"\ncolumns {word}: {', '.join(names)}" for word, names in found["columns"].items() if names]
    moved: list[dict[str, Any]] = [item for item in found["distributions"] if item["psi"] > item["noise"]]
    if moved:
        named = ", ".join(f"{item['column']} (PSI {item['psi']:.3f})" for item in moved[:SHOWN])
        more = f" and {len(moved) - SHOWN} others" if len(moved) > SHOWN else ""
        said.append(f"\ndistributed otherwise than by chance: {named}{more}; `penstock data diff` has all")
    return said
