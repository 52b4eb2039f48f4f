"""`models`, `approve`, `reject`, `why`: versions and decisions on them."""

from typing import Annotated

import typer
from rich.tree import Tree

from penstock.cli.client import curl_line, example
from penstock.cli.options import Json, NamedModel, Stage, Version
from penstock.cli.output import Word, ago, as_json, coloured, console, line, mark, table
from penstock.cli.target import Target, UsageError, project_root
from penstock.ledger import Ledger, Record
from penstock.registry import APPROVED, REJECTED, Registry
from penstock.spec import METRICS, MODELS, model_folders, read_model
from penstock.why import why as chain

Reason = Annotated[str, typer.Option("--reason", help="Stands in the registry and the ledger.", show_default=False)]

models_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="List models; `show` one.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(models_app, name="models")
    app.command()(approve)
    app.command()(reject)
    app.command()(why)


@models_app.callback()
def models(context: typer.Context, *, stage: Stage = "local", json: Json = False) -> None:
    """List the models of the stage: what serves, and what waits for approval."""
    if context.invoked_subcommand:
        return
    found = [_summary(Target.of(stage, folder.name)) for folder in model_folders(project_root())]
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
        "pending": [item["version"] for item in versions if not target.ledger.approvals(item["version"])],
        "url": target.url,
    }


@models_app.command()
def show(model: NamedModel = None, *, stage: Stage = "local", json: Json = False) -> None:
    """Show a model: its address, a curl line that works as printed, its versions."""
    target = Target.of(stage, model)
    instance = example(target)
    versions = target.ledger.versions()
    live = target.ledger.live()
    metric = METRICS[read_model(target.root / MODELS / target.model).task][0]
    if json:
        as_json(_summary(target) | {"curl": curl_line(target, instance), "versions": versions})
        return
    console.print(line((target.model, "bold"), f" ({stage})\n{target.url}\n"), soft_wrap=True)
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
    console.print()
    print(curl_line(target, instance))  # noqa: T201 - to be copied, so nothing may wrap or colour it


def _decision(ledger: Ledger, version: int) -> Word:
    decisions = ledger.approvals(version)
    return coloured(decisions[-1]["decision"]) if decisions else "pending"


def approve(model: NamedModel = None, *, reason: Reason, version: Version = None, stage: Stage = "local") -> None:
    """Approve a version, the newest unless one is named; its rollout follows."""
    _decide(Target.of(stage, model), version, APPROVED, reason)


def reject(model: NamedModel = None, *, reason: Reason, version: Version = None, stage: Stage = "local") -> None:
    """Reject a version, the newest unless one is named."""
    _decide(Target.of(stage, model), version, REJECTED, reason)


def _decide(target: Target, version: int | None, status: str, reason: str) -> None:
    if not reason.strip():
        raise UsageError("a decision needs a reason: --reason '…'")
    versions = target.ledger.versions()
    if not versions:
        raise UsageError(f"{target.model} has no version yet: push data first")
    about = target.ledger.version(version) if version is not None else versions[0]
    Registry(target.outputs.GroupName).set_status(about["arn"], status, reason)
    console.print(
        line(f"version {about['version']} of {target.model} is ", coloured(status.lower()), " in the registry")
    )


def why(model: NamedModel = None, *, version: Version = None, stage: Stage = "local", json: Json = False) -> None:
    """Say why a version is live: who approved it, which run made it, of which data."""
    found = chain(Target.of(stage, model).ledger, version)
    if json:
        as_json(found)
    else:
        console.print(_tree(found))


def _tree(found: Record) -> Tree:
    state = coloured("live") if found["live"] else "not live"
    name = f"{found['model']} version {found['version']}"
    tree = Tree(line((name, "bold"), " ", state, f" · SHA-256 {found['sha256']}"))
    for rollout in found["rollouts"]:
        ending = f" {rollout['ended'] or ''}: {rollout['reason'] or ''}"
        tree.add(line(f"rollout {rollout['id']} ", coloured(rollout["outcome"] or "open"), ending))
    for decision in found["approvals"]:
        refusal = f" – {decision['refusal']}" if "refusal" in decision else ""
        said = f" by {decision['by']} {decision['at']}: {decision['reason']}{refusal}"
        tree.add(line(coloured(decision["decision"]), said))
    run = found["run"]
    about = f" {run['opened']} · {run['cause']} · code {run['code'][:12]}"
    branch = tree.add(line(f"run {run['id']} ", coloured(run["outcome"] or "open"), about))
    for verdict in found["gates"]:
        branch.add(line(mark(good=verdict["passed"]), f" {verdict['sentence']}"))
    dataset = found["dataset"]
    data = branch.add(f"dataset {dataset['version']} · {dataset['rows']:,} rows · contract {dataset['contract'][:12]}")
    for upload in dataset["uploads"]:
        data.add(f"{upload['upload']} · {upload['rows']:,} rows · part {upload['part'][:12]}")
    return tree
