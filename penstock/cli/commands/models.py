"""`models`, `models show`: the models of a stage, their versions, and client code to copy."""

from collections.abc import Mapping
from typing import Any

import typer
from botocore.exceptions import ClientError

from penstock.cli.api_client import example_instance
from penstock.cli.client_snippets import curl_command, environment_hint, openapi_url, python_client
from penstock.cli.commands import models_diff
from penstock.cli.options import Json, NamedModel, Stage
from penstock.cli.output import Word, ago, as_json, coloured, console, line, table
from penstock.cli.pending_code import pending_code
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
    """List the models of the stage: the live version, the newest one, and those that wait for approval."""
    if context.invoked_subcommand:
        return
    summaries = [_summary(Target.of(stage, name)) for name in model_names(project_root())]
    if json:
        as_json(summaries)
        return
    rows = [
        (
            item["model"],
            _number(item["live"]),
            _number(item["newest"]),
            ", ".join(map(str, item["pending"])),
            item["url"],
        )
        for item in summaries
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
        "pending": [item["version"] for item in versions if _is_pending(target.ledger, item["version"])],
        "url": target.url,
        "endpoint": live.get("endpoint") if live else None,
    }


@models_app.command()
def show(model: NamedModel = None, *, stage: Stage = "local", json: Json = False) -> None:
    """Show a model: its address, its versions, and a Python program and a curl command that predict as printed."""
    target = Target.of(stage, model)
    instance = example_instance(target)
    versions = target.ledger.versions()
    live = target.ledger.live()
    metric = METRICS[read_model(target.root / MODELS / target.model).task][0]
    if json:
        as_json(_summary(target) | _clients(target, instance) | {"versions": versions})
        return
    console.print(line((target.model, "bold"), f" ({stage})\n{target.url}\n{openapi_url(target)}\n"), soft_wrap=True)
    if live and live.get("endpoint"):
        console.print(_describe_endpoint(target, live), soft_wrap=True)
    rows = [
        (
            str(item["version"]),
            coloured("live")
            if live and live["version"] == item["version"]
            else _newest_decision(target.ledger, item["version"]),
            ago(item["registered"]),
            item["run"],
            item["dataset"][:12],
            f"{item['metrics'].get(metric, float('nan')):.4f}",
        )
        for item in versions
    ]
    table(["version", "state", "registered", "run", "dataset", metric], rows, title="versions")
    if versions:
        if sentence := pending_code(target):
            console.print(sentence, soft_wrap=True)
        console.print(f"how version {versions[0]['version']} was judged: penstock report {versions[0]['version']}")
    for item in versions:
        if item.get("mlflow"):
            console.print(line(f"version {item['version']} in MLflow: {item['mlflow']}"), soft_wrap=True)
    clients = _clients(target, instance)
    # Printed without wrapping and colour, to be copied.
    print(f"\n{clients['python']}\n")  # noqa: T201
    if hint := environment_hint(target):
        console.print(hint)
    print(clients["curl"])  # noqa: T201


def _describe_endpoint(target: Target, live: Record) -> str:
    """Name the endpoint that scores, with its status in SageMaker."""
    try:
        status = Endpoints(target.stage, target.model).status(live["endpoint"])
    except ClientError as error:
        status = f"its status cannot be read: {error}"
    return f"version {live['version']} is scored by endpoint {live['endpoint']} ({status})"


def _clients(target: Target, instance: Mapping[str, Any]) -> dict[str, str]:
    return {"curl": curl_command(target, instance), "python": python_client(target, instance)}


def _decisions(ledger: Ledger, version: int) -> list[Record]:
    """Return the decisions on a version, without refused rollbacks to it, which change nothing."""
    return [item for item in ledger.approvals(version) if not ("rollback" in item and "refusal" in item)]


def _newest_decision(ledger: Ledger, version: int) -> Word:
    decisions = _decisions(ledger, version)
    return coloured(decisions[-1]["decision"]) if decisions else "pending"


def _is_pending(ledger: Ledger, version: int) -> bool:
    """Return whether a version waits for a decision; a refused approval does not count as one."""
    decisions = _decisions(ledger, version)
    return not decisions or decisions[-1]["decision"] not in {"approved", "rejected", "rolled back"}
