"""`models`: versions, and what waits for a decision."""

from collections.abc import Mapping
from typing import Any

import typer
from botocore.exceptions import ClientError

from penstock.cli.api_client import example
from penstock.cli.client_snippets import curl_line, described, python_client, reminder_of
from penstock.cli.commands import models_diff
from penstock.cli.commands.rollout import waiting
from penstock.cli.options import Json, NamedModel, Stage
from penstock.cli.output import Word, ago, as_json, coloured, console, line, table
from penstock.cli.target import Target, model_names, project_root
from penstock.ledger.ledger import Ledger, Record
from penstock.release.endpoints import Endpoints
from penstock.spec.model import METRICS, MODELS, read_model

models_app = typer.Typer(
    invoke_without_command=True, rich_markup_mode=None, help="List models; `show` one, `diff` two versions."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models_diff.register(models_app)
    app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context, *, stage: Stage = "local", json: Json = False) -> None:
    """List the models of the stage: what serves, and what waits for approval."""
    if context.invoked_subcommand:
        return
    found = [_summary(Target.of(stage, name)) for name in model_names(project_root())]
    if json:
        as_json(found)
        return
    rows = [
        (
            item["model"],
            _number(item["live"]),
            _number(item["newest"]),
            ", ".join(map(str, item["pending"])),
            item["url"],
        )
        for item in found
    ]
    table(["model", "live", "newest", "pending", "url"], rows, title="models")


def _number(version: int | None) -> str:
    return "–" if version is None else str(version)


def _summary(target: Target) -> Record:
    live, versions = target.ledger.live(), target.ledger.versions()
    return {
        "model": target.model,
        "live": live["version"] if live else None,
        "newest": versions[0]["version"] if versions else None,
        "pending": [item["version"] for item in versions if _pending(target.ledger, item["version"])],
        "url": target.url,
        "endpoint": live.get("endpoint") if live else None,
    }


@models_app.command()
def show(model: NamedModel = None, *, stage: Stage = "local", json: Json = False) -> None:
    """Show a model: its address, its versions, a Python client and a curl line that work as printed."""
    target = Target.of(stage, model)
    instance = example(target)
    versions = target.ledger.versions()
    live = target.ledger.live()
    metric = METRICS[read_model(target.root / MODELS / target.model).task][0]
    if json:
        as_json(_summary(target) | _clients(target, instance) | {"versions": versions})
        return
    console.print(line((target.model, "bold"), f" ({stage})\n{target.url}\n{described(target)}\n"), soft_wrap=True)
    if live and live.get("endpoint"):
        console.print(_answering(target, live), soft_wrap=True)
    rows = [
        (
            str(item["version"]),
            coloured("live")
            if live and live["version"] == item["version"]
            else _decision(target.ledger, item["version"]),
            ago(item["registered"]),
            item["run"],
            item["dataset"][:12],
            f"{item['metrics'].get(metric, float('nan')):.4f}",
        )
        for item in versions
    ]
    table(["version", "state", "registered", "run", "dataset", metric], rows, title="versions")
    if versions:
        if behind := waiting(target):
            console.print(behind, soft_wrap=True)
        console.print(f"how version {versions[0]['version']} was judged: penstock report {versions[0]['version']}")
    for item in versions:
        if item.get("mlflow"):
            console.print(line(f"version {item['version']} in MLflow: {item['mlflow']}"), soft_wrap=True)
    clients = _clients(target, instance)
    # To be copied, so nothing may wrap or colour them.
    print(f"\n{clients['python']}\n")  # noqa: T201
    if reminder := reminder_of(target):
        console.print(reminder)
    print(clients["curl"])  # noqa: T201


def _answering(target: Target, live: Record) -> str:
    """The endpoint that scores, and whether SageMaker has it in service."""
    try:
        status = Endpoints(target.stage, target.model).status(live["endpoint"])
    except ClientError as error:
        status = f"its status cannot be asked: {error}"
    return f"version {live['version']} is scored by endpoint {live['endpoint']} ({status})"


def _clients(target: Target, instance: Mapping[str, Any]) -> dict[str, str]:
    return {"curl": curl_line(target, instance), "python": python_client(target, instance)}


def _decisions(ledger: Ledger, version: int) -> list[Record]:
    """Those that count for the version: a rollback to it that was refused leaves it as it was."""
    return [item for item in ledger.approvals(version) if not ("rollback" in item and "refusal" in item)]


def _decision(ledger: Ledger, version: int) -> Word:
    decisions = _decisions(ledger, version)
    return coloured(decisions[-1]["decision"]) if decisions else "pending"


def _pending(ledger: Ledger, version: int) -> bool:
    """Whether a version waits for a decision; a refused approval is none."""
    decisions = _decisions(ledger, version)
    return not decisions or decisions[-1]["decision"] not in {"approved", "rejected", "rolled back"}
