"""`models`, `approve`, `reject`, `why`: versions and decisions on them."""

import time
from typing import Annotated

import typer
from rich.tree import Tree

from penstock.cli.client import curl_line, example
from penstock.cli.forget import forgettings
from penstock.cli.options import Json, NamedModel, Stage, Version
from penstock.cli.output import Word, ago, as_json, coloured, console, line, mark, table
from penstock.cli.target import Target, UsageError, model_names, project_root
from penstock.ledger import Ledger, NoRecordError, Record, timestamp
from penstock.registry import APPROVED, REJECTED, Registry
from penstock.spec import METRICS, MODELS, read_model
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
    if versions:
        console.print(f"how version {versions[0]['version']} was judged: penstock report {versions[0]['version']}")
    console.print()
    if stage != "local":
        console.print('export your credentials first: eval "$(aws configure export-credentials --format env)"')
    print(curl_line(target, instance))  # noqa: T201 - to be copied, so nothing may wrap or colour it


def _decision(ledger: Ledger, version: int) -> Word:
    decisions = ledger.approvals(version)
    return coloured(decisions[-1]["decision"]) if decisions else "pending"


def _pending(ledger: Ledger, version: int) -> bool:
    """Whether a version waits for a decision; a refused approval is none."""
    decisions = ledger.approvals(version)
    return not decisions or decisions[-1]["decision"] not in {"approved", "rejected"}


def approve(
    model: NamedModel = None,
    *,
    reason: Reason,
    version: Version = None,
    stage: Stage = "local",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the rollout to its end.")] = True,
) -> None:
    """Approve a version, the newest unless one is named, and follow its rollout. Exit code 1 if it does not go live."""
    target = Target.of(stage, model)
    number, since = _decide(target, version, APPROVED, reason)
    if wait:
        with console.status("the rollout: publish, golden examples, traffic"):
            outcome, sentence = wait_for_rollout(target, number, since)
        console.print(line(coloured(outcome), f": {sentence}"))
        if outcome != "live":
            raise typer.Exit(1)


def reject(model: NamedModel = None, *, reason: Reason, version: Version = None, stage: Stage = "local") -> None:
    """Reject a version, the newest unless one is named. What is live goes on serving."""
    target = Target.of(stage, model)
    number, _ = _decide(target, version, REJECTED, reason)
    live = target.ledger.live()
    if live is not None and live["version"] == number:
        console.print(f"version {number} is live and goes on serving until another one is approved")


def _decide(target: Target, version: int | None, status: str, reason: str) -> tuple[int, str]:
    """Set the status in the registry; which version's, and when."""
    if not reason.strip():
        raise UsageError("a decision needs a reason: --reason '…'")
    versions = target.ledger.versions()
    if not versions:
        raise UsageError(f"{target.model} has no version yet: push data first")
    about = target.ledger.version(version) if version is not None else versions[0]
    registry = Registry(target.outputs.GroupName)
    registry.set_status(about["arn"], status, reason)
    words = line(f"version {about['version']} of {target.model} is ", coloured(status.lower()), " in the registry")
    console.print(words)
    return int(about["version"]), timestamp(registry.describe(about["arn"]).changed)


def wait_for_rollout(target: Target, version: int, since: str, *, patience: float = 60) -> tuple[str, str]:
    """What came of an approval: `live`, `rolled back`, `failed` or `refused`, with the sentence.

    Args:
        target: the model.
        version: what was approved.
        since: when, as the registry has it; what was decided or rolled out before is an older story.
        patience: seconds to wait while no rollout is under way.

    Raises:
        NoRecordError: nothing came of it in time, and no rollout is under way.
    """
    ledger, end = target.ledger, time.monotonic() + patience
    while True:
        refused = [item for item in ledger.approvals(version) if item["at"] >= since and "refusal" in item]
        if refused:
            return "refused", str(refused[-1]["refusal"])
        own = [item for item in ledger.rollouts() if item["version"] == version and item["opened"] >= since]
        if own and own[0]["state"] == "ended":
            return str(own[0]["outcome"]), str(own[0]["reason"])
        if ledger.holder("rollout") is not None:
            end = time.monotonic() + patience
        elif time.monotonic() > end:
            raise NoRecordError(
                f"rollout of version {version} after {patience:.0f} s; `penstock why --version {version}`"
            )
        time.sleep(0.4 if target.stage == "local" else 4)


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
    for sentence in forgettings(dataset):
        data.add(line((sentence, "yellow")))
    for upload in dataset["uploads"]:
        data.add(f"{upload['upload']} · {upload['rows']:,} rows · part {upload['part'][:12]}")
    return tree
