"""`predict`, `drift`: score rows with the live version, and compare captured rows with its training data."""

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.api_client import ApiClient
from penstock.cli.explanations import print_explanations
from penstock.cli.options import Json, Model, NamedModel, Stage
from penstock.cli.output import ago, as_json, coloured, console, line, table
from penstock.cli.target import Target, UsageError
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.readers.open_table import read_table
from penstock.spec.model import MODELS, read_model
from penstock.spec.operations import Explaining

NEXT_CLASSES = 2
"""Number of further classes to show after the label."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(predict)
    app.command()(drift)


def predict(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="CSV, JSON Lines or Parquet with raw columns; - reads JSON Lines from standard input."
        ),
    ],
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each field adds to the score.")] = False,
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Score a file's rows over the HTTPS API, each request with as many rows as the model allows."""
    target = Target.of(stage, model)
    folder = target.root / MODELS / target.model
    instances = read_instances(file, read_contract(folder))
    serving = read_model(folder).serving
    size = min(serving.max_rows, (serving.explain or Explaining()).max_rows) if explain else serving.max_rows
    answers = score(ApiClient(target), instances, size, explain=explain)
    if json:
        as_json(answers)
        return
    print_answers(answers)
    if explain:
        print_explanations(instances, answers["predictions"])


def print_answers(answers: dict[str, Any]) -> None:
    """Print predictions as a table; a multiclass model's with the next likely classes."""
    several = any("scores" in item for item in answers["predictions"])
    rows = [
        (item["id"], f"{item['score']:.6f}", str(item.get("label", "")), *([next_likely(item)] if several else []))
        for item in answers["predictions"]
    ]
    columns = ["id", "score", "label", *(["next"] if several else [])]
    table(columns, rows, title=f"{answers['model']} version {answers['version']}")


def next_likely(item: dict[str, Any]) -> str:
    """Return the most likely classes after the label, with their probabilities."""
    others = [(name, score) for name, score in item.get("scores", {}).items() if name != str(item["label"])]
    ranked = sorted(others, key=lambda pair: -pair[1])[:NEXT_CLASSES]
    return ", ".join(f"{name} {score:.6f}" for name, score in ranked)


def score(client: ApiClient, instances: list[dict[str, Any]], size: int, *, explain: bool = False) -> dict[str, Any]:
    """Score instances in requests of `size` rows, and return one response with all predictions."""
    answer: dict[str, Any] = {"predictions": []}
    for start in range(0, len(instances), size):
        part = client.predict(instances[start : start + size], explain=explain)
        answer = part | {"predictions": answer["predictions"] + part["predictions"]}
    return answer


def read_instances(file: str, contract: Contract) -> list[dict[str, Any]]:
    """Read a file's rows as instances: features, row key and event time of the contract, without missing values.

    Raises:
        UsageError: there is no such file, or it has no rows.
    """
    name, data = (file, Path(file).read_bytes()) if file != "-" and Path(file).is_file() else _read_stdin(file)
    frame = read_table(data, name)
    kinds = {
        column.name: "string" if column.role == "key" else column.type
        for column in contract.columns
        if column.role in {"feature", "key", "event_time"}
    }
    rows = [
        {key: _cast(value, kinds[key]) for key, value in row.items() if key in kinds and value not in (None, "")}
        for row in frame.to_dicts()
    ]
    if not rows:
        raise UsageError(f"{file} has no rows")
    return rows


def _read_stdin(file: str) -> tuple[str, bytes]:
    if file != "-":
        raise UsageError(f"{file} is not a file")
    return "stdin.jsonl", sys.stdin.buffer.read()


def _cast(value: Any, kind: str) -> Any:
    """Convert a cell to its JSON value; one that does not convert is sent unchanged, and the API names the fault."""
    if kind == "string" and isinstance(value, int):
        return str(value)  # as in the row check
    if not isinstance(value, str) or kind not in {"integer", "number", "boolean"}:
        return value if isinstance(value, str | int | float | bool) else str(value)
    try:
        return jsonlib.loads(value.lower())
    except ValueError:
        return value


def drift(
    model: NamedModel = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Run the monitor now. Exit code 13 on drift.")] = False,
    stage: Stage = "local",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many results, newest first.")] = 10,
    json: Json = False,
) -> None:
    """Show the monitor's results, newest first; with --check, run it now."""
    target = Target.of(stage, model)
    if check:
        result = run_monitor(target)
        as_json(result) if json else print_drift(result)
        raise typer.Exit(13 if result["outcome"] == "drift" else 0)
    results = target.ledger.drifts(limit)
    if json:
        as_json(results)
        return
    rows = [
        (ago(item["at"]), str(item["version"]), coloured(item["outcome"]), str(item["rows"]), item["sentence"])
        for item in results
    ]
    table(["when", "version", "outcome", "rows", "result"], rows, title="monitor results")


def run_monitor(target: Target) -> dict[str, Any]:
    """Run the monitor now and return its result.

    Raises:
        UsageError: the monitor failed; the message has its error.
    """
    reply = target.client("lambda").invoke(FunctionName=target.outputs.MonitorName, Payload=b"{}")
    answer: dict[str, Any] = jsonlib.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise UsageError(f"the monitor failed: {answer.get('errorMessage', answer)}")
    return answer


def print_drift(result: dict[str, Any]) -> None:
    """Print a result of the monitor: its sentence, and a table of its columns."""
    console.print(line(coloured(result["outcome"]), f": {result['sentence']}"))
    rows = [
        (item["column"], f"{item['psi']:.3f}", f"{item['noise']:.3f}", coloured("drift") if item["drifted"] else "")
        for item in result["columns"]
    ]
    if rows:
        table(["column", "PSI", "noise", ""], rows)
