"""`predict`, `drift`: what the live version answers, and whether the world still looks like its data."""

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.api_client import Client
from penstock.cli.explanations import print_explanations
from penstock.cli.options import Json, Model, NamedModel, Stage
from penstock.cli.output import ago, as_json, coloured, console, line, table
from penstock.cli.target import Target, UsageError
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.readers.open_table import read_table
from penstock.spec.explain import Explaining
from penstock.spec.model import MODELS, read_model

NEXT = 2
"""Classes that are shown beside the label."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(predict)
    app.command()(drift)


def predict(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV, JSON Lines or Parquet with raw columns; - reads JSON Lines.")
    ],
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each field adds to the score.")] = False,
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Score a file's rows over the HTTPS API, in requests of as many rows as the model takes, or explains."""
    target = Target.of(stage, model)
    folder = target.root / MODELS / target.model
    instances = read_instances(file, read_contract(folder))
    serving = read_model(folder).serving
    most = min(serving.max_rows, (serving.explain or Explaining()).max_rows) if explain else serving.max_rows
    answers = score(Client(target), instances, most, explain=explain)
    if json:
        as_json(answers)
        return
    print_answers(answers)
    if explain:
        print_explanations(instances, answers["predictions"])


def print_answers(answers: dict[str, Any]) -> None:
    """Answers as a person reads them; of several classes the next likely beside the label."""
    several = any("scores" in item for item in answers["predictions"])
    rows = [
        (item["id"], f"{item['score']:.6f}", str(item.get("label", "")), *([next_likely(item)] if several else []))
        for item in answers["predictions"]
    ]
    columns = ["id", "score", "label", *(["next"] if several else [])]
    table(columns, rows, title=f"{answers['model']} version {answers['version']}")


def next_likely(item: dict[str, Any]) -> str:
    """The classes that are likely after the label, with their probabilities."""
    others = [(name, score) for name, score in item.get("scores", {}).items() if name != str(item["label"])]
    ranked = sorted(others, key=lambda pair: -pair[1])[:NEXT]
    return ", ".join(f"{name} {score:.6f}" for name, score in ranked)


def score(client: Client, instances: list[dict[str, Any]], size: int, *, explain: bool = False) -> dict[str, Any]:
    """All instances in requests of `size`; one answer with all predictions."""
    answer: dict[str, Any] = {"predictions": []}
    for start in range(0, len(instances), size):
        part = client.predict(instances[start : start + size], explain=explain)
        answer = part | {"predictions": answer["predictions"] + part["predictions"]}
    return answer


def read_instances(file: str, contract: Contract) -> list[dict[str, Any]]:
    """A file's rows as instances: the contract's features and row key, missing values left out.

    Raises:
        UsageError: no such file, or no rows.
    """
    name, data = (file, Path(file).read_bytes()) if file != "-" and Path(file).is_file() else _stdin(file)
    found = read_table(data, name)
    kinds = {
        column.name: "string" if column.role == "key" else column.type
        for column in contract.columns
        if column.role in {"feature", "key", "event_time"}
    }
    rows = [
        {key: _typed(value, kinds[key]) for key, value in row.items() if key in kinds and value not in (None, "")}
        for row in found.to_dicts()
    ]
    if not rows:
        raise UsageError(f"{file} has no rows")
    return rows


def _stdin(file: str) -> tuple[str, bytes]:
    if file != "-":
        raise UsageError(f"{file} is not a file")
    return "stdin.jsonl", sys.stdin.buffer.read()


def _typed(value: Any, kind: str) -> Any:
    """A CSV's cell as JSON has it; what does not convert goes as it is, the API says what is wrong with it."""
    if kind == "string" and isinstance(value, int):
        return str(value)  # as the check takes it
    if not isinstance(value, str) or kind not in {"integer", "number", "boolean"}:
        return value if isinstance(value, str | int | float | bool) else str(value)
    try:
        return jsonlib.loads(value.lower())
    except ValueError:
        return value


def drift(
    model: NamedModel = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Look now. Exit code 13 on drift.")] = False,
    stage: Stage = "local",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many looks, newest first.")] = 10,
    json: Json = False,
) -> None:
    """Show what the monitor saw, newest first; with --check, look now."""
    target = Target.of(stage, model)
    if check:
        look = check_now(target)
        as_json(look) if json else print_look(look)
        raise typer.Exit(13 if look["outcome"] == "drift" else 0)
    looks = target.ledger.drifts(limit)
    if json:
        as_json(looks)
        return
    rows = [
        (ago(item["at"]), str(item["version"]), coloured(item["outcome"]), str(item["rows"]), item["sentence"])
        for item in looks
    ]
    table(["when", "version", "outcome", "rows", "what"], rows, title="looks")


def check_now(target: Target) -> dict[str, Any]:
    """Let the monitor look now; its result.

    Raises:
        UsageError: the monitor failed, with its words.
    """
    reply = target.client("lambda").invoke(FunctionName=target.outputs.MonitorName, Payload=b"{}")
    answer: dict[str, Any] = jsonlib.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise UsageError(f"the monitor failed: {answer.get('errorMessage', answer)}")
    return answer


def print_look(look: dict[str, Any]) -> None:
    """A look of the monitor as a person reads it."""
    console.print(line(coloured(look["outcome"]), f": {look['sentence']}"))
    rows = [
        (item["column"], f"{item['psi']:.3f}", f"{item['noise']:.3f}", coloured("drift") if item["drifted"] else "")
        for item in look["columns"]
    ]
    if rows:
        table(["column", "PSI", "noise", ""], rows)
